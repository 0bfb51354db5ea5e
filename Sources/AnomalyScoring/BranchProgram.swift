import ConvNets
import TensorKernels

/// `BranchNetworks` made ready for many frames: weights transformed, memory laid out, both branches in one program.
///
/// The teacher's and the student's last layers are never computed as such. With the teacher's statistics μ, σ folded in,
/// each map is the mean square of one convolution of stacked features,
/// `T̂ − S₁ = (W_T ∗ t − σ·W_S₁ ∗ s)/σ + (b_T − μ)/σ − b_S₁` and `A − S₂ = W_A ∗ a − W_S₂ ∗ s + b_A − b_S₂`, and the pooled
/// features come from sums over the student's third layer (ENGINE §3). All of it is exact but for rounding.
public final class BranchProgram: BranchObserver {
    private let program: InferenceProgram
    private let input: PlaneImage
    private let studentTeacher: PlaneImage
    private let autoencoderStudent: PlaneImage
    private let pooled: PooledValues

    /// The teacher's transformed weights, which models of several recipes share.
    let teacher: PreparedTeacher

    /// - Parameters:
    ///   - teacher: Of another program with the same teacher; nil transforms the teacher's weights anew.
    ///   - threads: How many threads compute at once, the caller included; at least 1.
    convenience public init(_ networks: BranchNetworks, sharingTeacherOf other: BranchProgram? = nil, threads: Int) {
        self.init(networks, sharingTeacherOf: other, threads: threads, instructionSet: .best)
    }

    init(
        _ networks: BranchNetworks, sharingTeacherOf other: BranchProgram? = nil, threads: Int,
        instructionSet: InstructionSet
    ) {
        let own = networks.teacher.network.parameters
        if let shared = other?.teacher, shared.parameters == own {
            teacher = shared
        } else {
            teacher = PreparedTeacher(own, threads: threads, instructionSet: instructionSet)
        }
        var builder = BranchProgramBuilder(
            networks: networks, teacher: teacher, threads: threads, instructionSet: instructionSet)
        program = builder.build()
        input = builder.input
        studentTeacher = builder.studentTeacher
        autoencoderStudent = builder.autoencoderStudent
        pooled = builder.pooled
    }

    /// What `BranchNetworks.observe` gives, but for rounding.
    ///
    /// The same image gives the same bits whatever the number of threads. Safe to call from several threads at once; each
    /// call then takes memory of its own.
    ///
    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    public func observe(_ image: Tensor) -> BranchNetworks.Observation { observe(image) { _ in } }

    /// - Parameter finished: Called after every phase with its name, for measurements.
    package func observe(_ image: Tensor, finished: (String) -> Void) -> BranchNetworks.Observation {
        precondition(
            image.shape == [input.channels, input.height, input.width],
            "the networks take images of shape [\(input.channels), \(input.height), \(input.width)], not \(image.shape)"
        )
        return program.run { memory in
            image.values.withUnsafeBufferPointer { values in
                guard let values = values.baseAddress else { return }
                (memory + input.offset).update(from: values, count: input.count)
            }
        } finished: {
            finished($0)
        } collect: { memory in
            BranchNetworks.Observation(
                maps: AnomalyMaps(
                    studentTeacher: studentTeacher.tensor(in: memory),
                    autoencoderStudent: autoencoderStudent.tensor(in: memory)),
                pooledFeatures: pooled.values(in: memory))
        }
    }

    /// Memory of one frame in flight, in bytes: activations, transformed tiles and the threads' scratch.
    public var activationBytes: Int { program.memoryBytes }
}

extension PlaneImage {
    fileprivate func tensor(in memory: UnsafePointer<Float>) -> Tensor {
        Tensor(
            shape: [channels, height, width],
            values: Array(UnsafeBufferPointer(start: memory + offset, count: count)))
    }
}

/// A teacher's weights, transformed once.
final class PreparedTeacher: Sendable {
    let parameters: ParameterSet

    /// Of the convolutions in order.
    let kernels: [WinogradKernels]

    init(_ parameters: ParameterSet, threads: Int, instructionSet: InstructionSet) {
        self.parameters = parameters
        kernels = (1...4).map {
            WinogradKernels(parameters.weight("conv\($0)"), threads: threads, instructionSet: instructionSet)
        }
    }
}

/// Puts the phases of a `BranchProgram` together.
private struct BranchProgramBuilder {
    let networks: BranchNetworks
    let teacher: PreparedTeacher
    let threads: Int
    let instructionSet: InstructionSet

    private var plan = MemoryPlan()
    let input: PlaneImage
    let studentTeacher: PlaneImage
    let autoencoderStudent: PlaneImage
    let pooled: PooledValues
    private let sizes: [ConvolutionGeometry]

    init(networks: BranchNetworks, teacher: PreparedTeacher, threads: Int, instructionSet: InstructionSet) {
        self.networks = networks
        self.teacher = teacher
        self.threads = threads
        self.instructionSet = instructionSet
        let side = networks.autoencoder.imageSide
        sizes = networks.student.layerSizes(imageHeight: side, imageWidth: side)
        input = PlaneImage(channels: 3, height: side, width: side, in: &plan)
        let map = sizes[3]
        studentTeacher = PlaneImage(channels: 1, height: map.outputHeight, width: map.outputWidth, in: &plan)
        autoencoderStudent = PlaneImage(channels: 1, height: map.outputHeight, width: map.outputWidth, in: &plan)
        pooled = PooledValues(count: networks.student.outputChannels / 2, in: &plan)
    }

    mutating func build() -> InferenceProgram {
        let student = networks.student.parameters
        let studentKernels = (1...3).map { kernels(student.weight("conv\($0)")) }
        let teacherBiases = (1...3).map { teacher.parameters.bias("conv\($0)") }
        let studentBiases = (1...3).map { student.bias("conv\($0)") }

        // Both networks read the same picture, whose tiles are transformed once.
        let networksOfLayer = [(teacher.kernels, teacherBiases), (studentKernels, studentBiases)]
        let pooled1 = networksOfLayer.map { kernels, _ in pooledImage(behind: 0, channels: kernels[0].outputChannels) }
        let conv1 = WinogradStage(
            [.init(.planes(input))],
            targets: zip(networksOfLayer, pooled1).map { network, image in
                .init([(0, network.0[0])], bias: network.1[0], to: .image(image, .rectifier, isPooled: true))
            }, height: sizes[0].outputHeight, width: sizes[0].outputWidth, instructionSet: instructionSet)

        let pooled2 = networksOfLayer.map { kernels, _ in pooledImage(behind: 1, channels: kernels[1].outputChannels) }
        let conv2 = networksOfLayer.indices.map { number in
            layerStage(
                1, from: pooled1[number], networksOfLayer[number].0[1], bias: networksOfLayer[number].1[1],
                to: pooled2[number], isPooled: true)
        }

        let features3 = networksOfLayer.map { kernels, _ in image(ofLayer: 2, channels: kernels[2].outputChannels) }
        let conv3 = networksOfLayer.indices.map { number in
            layerStage(
                2, from: pooled2[number], networksOfLayer[number].0[2], bias: networksOfLayer[number].1[2],
                to: features3[number], isPooled: false)
        }
        let conv3Phases = conv3.map { $0.pointwise(in: &plan) }

        let (autoencoderPhases, reconstruction) = autoencoder()
        let conv4 = lastLayer(teacher: features3[0], student: features3[1], reconstruction: reconstruction)
        let conv4Phases = conv4.pointwise(in: &plan)
        let half = student.weight("conv4").shape[0] / 2
        let pooling = PooledConvolutionStage(
            features3[1], weights: student.weight("conv4").channels(0..<half),
            bias: Array(student.bias("conv4")[..<half]), to: pooled, in: &plan, instructionSet: instructionSet)

        // The autoencoder is a long chain of small layers: one thread takes it while the others do the second layers.
        let (windowSums, pooledFeatures) = pooling.phases()
        let phases: [(name: String, phase: any WorkPhase)] = [
            ("conv1 and pool, both networks", conv1.tilewise()),
            (
                "conv2 and pool, both networks, and the autoencoder",
                ConcurrentPhases([SerialPhases(autoencoderPhases)] + conv2.map { $0.tilewise() })
            ),
            ("conv3, tiles", ConcurrentPhases(conv3Phases.map(\.transform))),
            ("conv3, products", ConcurrentPhases(conv3Phases.map(\.targets[0].products))),
            ("conv3, outputs", ConcurrentPhases(conv3Phases.map(\.targets[0].combination))),
            ("conv4, tiles, and window sums", ConcurrentPhases([conv4Phases.transform, windowSums])),
            ("conv4, products of the local map", conv4Phases.targets[0].products),
            (
                "conv4, local map, and pooled features",
                ConcurrentPhases([conv4Phases.targets[0].combination, pooledFeatures])
            ),
            ("conv4, products of the global map", conv4Phases.targets[1].products),
            ("conv4, global map", conv4Phases.targets[1].combination),
        ]
        return InferenceProgram(phases, plan: plan, threads: threads)
    }

    /// `T̂ − S₁` and `A − S₂`, squared and averaged.
    private func lastLayer(teacher features: PanelImage, student: PanelImage, reconstruction: PanelImage)
        -> WinogradStage
    {
        let weights = networks.student.parameters.weight("conv4")
        let bias = networks.student.parameters.bias("conv4")
        let half = weights.shape[0] / 2
        let statistics = networks.teacher.statistics

        // A dead channel of the teacher is zero, whatever its weights say.
        let isDead = statistics.deviation.map { $0 <= 0 }
        let teacherKernels =
            isDead.contains(true)
            ? WinogradKernels(
                teacher.parameters.weight("conv4"), scale: isDead.map { $0 ? 0 : 1 }, threads: threads,
                instructionSet: instructionSet)
            : teacher.kernels[3]
        let deviation = zip(statistics.deviation, isDead).map { $1 ? 1 : $0 }
        let teacherBias = teacher.parameters.bias("conv4")
        let localBias = (0..<half).map { channel in
            (isDead[channel] ? 0 : (teacherBias[channel] - statistics.mean[channel]) / deviation[channel])
                - bias[channel]
        }
        let local = WinogradStage.Target(
            [
                (0, teacherKernels),
                (1, kernels(weights.channels(0..<half), scale: deviation.map { -$0 })),
            ], bias: localBias, to: .meanSquares(studentTeacher, scale: deviation.map { 1 / $0 }))

        let decoder = networks.autoencoder.parameters
        let global = WinogradStage.Target(
            [
                (
                    2,
                    WinogradKernels(
                        decoder.weight("decoder.deconv8"), embeddingSide: 4, threads: threads,
                        instructionSet: instructionSet)
                ), (1, kernels(weights.channels(half..<2 * half), scale: Array(repeating: -1, count: half))),
            ], bias: (0..<half).map { decoder.bias("decoder.deconv8")[$0] - bias[half + $0] },
            to: .meanSquares(autoencoderStudent, scale: Array(repeating: 1, count: half)))
        return WinogradStage(
            [.init(.panels(features)), .init(.panels(student)), .init(.panels(reconstruction), padding: 1)],
            targets: [local, global], height: sizes[3].outputHeight, width: sizes[3].outputWidth,
            instructionSet: instructionSet)
    }

    /// All layers but the last one, and what that one reads.
    private mutating func autoencoder() -> (phases: [any WorkPhase], features: PanelImage) {
        let network = networks.autoencoder
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
                    activation: number < 5 ? .rectifier : .identity, to: image, instructionSet: instructionSet))
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
                        to: .image(image, .rectifier, isPooled: false))
                ], height: geometry.outputHeight, width: geometry.outputWidth, instructionSet: instructionSet)
            phases.append(stage.tilewise())
            previous = image
        }
        guard let previous else { preconditionFailure("an autoencoder has layers") }
        return (phases, previous)
    }

    private func layerStage(
        _ layer: Int, from source: PanelImage, _ kernels: WinogradKernels, bias: [Float], to image: PanelImage,
        isPooled: Bool
    ) -> WinogradStage {
        WinogradStage(
            [.init(.panels(source))],
            targets: [.init([(0, kernels)], bias: bias, to: .image(image, .rectifier, isPooled: isPooled))],
            height: sizes[layer].outputHeight, width: sizes[layer].outputWidth, instructionSet: instructionSet)
    }

    /// What the layer behind the pool reads.
    private mutating func pooledImage(behind layer: Int, channels: Int) -> PanelImage {
        let next = sizes[layer + 1]
        return PanelImage(
            channels: channels, height: next.inputHeight, width: next.inputWidth,
            extent: WinogradStage.extent(
                height: next.outputHeight, width: next.outputWidth, kernelSide: next.kernelSide), in: &plan)
    }

    private mutating func image(ofLayer layer: Int, channels: Int) -> PanelImage {
        let next = sizes[layer + 1]
        return PanelImage(
            channels: channels, height: sizes[layer].outputHeight, width: sizes[layer].outputWidth,
            extent: WinogradStage.extent(
                height: next.outputHeight, width: next.outputWidth, kernelSide: next.kernelSide), in: &plan)
    }

    private func kernels(_ weights: Tensor, scale: [Float]? = nil) -> WinogradKernels {
        WinogradKernels(weights, scale: scale, threads: threads, instructionSet: instructionSet)
    }
}

extension ParameterSet {
    /// - Precondition: The networks have checked their parameters.
    fileprivate func weight(_ layer: String) -> Tensor {
        guard let tensor = tensor(named: "\(layer).weight") else { preconditionFailure("no layer '\(layer)'") }
        return tensor
    }

    fileprivate func bias(_ layer: String) -> [Float] {
        guard let tensor = tensor(named: "\(layer).bias") else { preconditionFailure("no layer '\(layer)'") }
        return tensor.values
    }
}

extension Tensor {
    /// Some of the first dimension.
    fileprivate func channels(_ range: Range<Int>) -> Tensor {
        let size = count / shape[0]
        return Tensor(
            shape: [range.count] + shape.dropFirst(),
            values: Array(values[range.lowerBound * size..<range.upperBound * size]))
    }
}
