import ConvNets
import TensorKernels

/// A teacher's weights, transformed once.
final class PreparedTeacher: Sendable {
    let parameters: ParameterSet

    /// Of the convolutions with kernels of side 3 and 4, by the number of their layer, counted from 1.
    let kernels: [Int: WinogradKernels]

    init(_ network: PatchDescriptionNetwork, threads: Int, instructionSet: InstructionSet) {
        parameters = network.parameters
        kernels = parameters.winogradKernels(
            ofLayers: 1...parameters.count / 2, threads: threads, instructionSet: instructionSet)
    }
}

extension ParameterSet {
    /// Of those layers whose kernels have side 3 or 4.
    func winogradKernels(
        ofLayers layers: some Sequence<Int>, threads: Int, instructionSet: InstructionSet
    ) -> [Int: WinogradKernels] {
        var kernels: [Int: WinogradKernels] = [:]
        for number in layers {
            let weight = weight("conv\(number)")
            guard (3...4).contains(weight.shape[2]) else { continue }
            kernels[number] = WinogradKernels(weight, threads: threads, instructionSet: instructionSet)
        }
        return kernels
    }
}
