import ConvNets
import TensorKernels

extension BranchProgramBuilder {
    /// All layers but the last one, and what that one reads.
    ///
    /// DFSC's design normalises the sums of every layer but the code before it rectifies them, and rectifies the code.
    mutating func autoencoder() -> (phases: [any WorkPhase], features: PanelImage) {
        let network = networks.autoencoder
        let isNormalised = network.design == .instanceNormalised
        let activation = isNormalised ? Activation.identity : .rectifier
        let codeActivation = isNormalised ? Activation.rectifier : .identity
        var phases: [any WorkPhase] = []
        var previous: PanelImage?
        for (number, geometry) in network.layerSizes.prefix(6).enumerated() {
            let name = "encoder.enconv\(number + 1)"
            let image = PanelImage(
                channels: geometry.outputChannels, height: geometry.outputHeight, width: geometry.outputWidth, in: &plan
            )
            phases.append(
                PatchStage(
                    previous.map { .panels($0) } ?? .planes(input), weights: network.parameters.weight(name),
                    bias: network.parameters.bias(name), geometry: geometry,
                    activation: number < 5 ? activation : codeActivation, to: image, instructionSet: instructionSet))
            if isNormalised, number < 5 {
                phases.append(NormalisationStage(image, instructionSet: instructionSet))
            }
            previous = image
        }
        let last = network.layerSizes[13]
        for (number, geometry) in network.layerSizes[6..<13].enumerated() {
            guard let features = previous else { break }
            let name = "decoder.deconv\(number + 1)"
            let enlarged = PanelImage(
                channels: features.channels, height: geometry.inputHeight, width: geometry.inputWidth,
                margin: geometry.padding,
                extent: WinogradStage.extent(
                    height: geometry.outputHeight, width: geometry.outputWidth, kernelSide: geometry.kernelSide),
                in: &plan)
            phases.append(EnlargementStage(features, to: enlarged, instructionSet: instructionSet))
            let isLast = number == 6
            let image = PanelImage(
                channels: geometry.outputChannels, height: geometry.outputHeight, width: geometry.outputWidth,
                margin: isLast ? last.padding : 0,
                extent: isLast
                    ? WinogradStage.extent(height: last.outputHeight, width: last.outputWidth, kernelSide: 4) : (0, 0),
                in: &plan)
            let stage = WinogradStage(
                [.init(.panels(enlarged), padding: geometry.padding)],
                targets: [
                    .init(
                        [(0, kernels(network.parameters.weight(name)))], bias: network.parameters.bias(name),
                        to: .image(image, activation, isPooled: false))
                ], height: geometry.outputHeight, width: geometry.outputWidth, instructionSet: instructionSet)
            phases.append(stage.tilewise())
            if isNormalised { phases.append(NormalisationStage(image, instructionSet: instructionSet)) }
            previous = image
        }
        guard let previous else { preconditionFailure("an autoencoder has layers") }
        return (phases, previous)
    }
}
