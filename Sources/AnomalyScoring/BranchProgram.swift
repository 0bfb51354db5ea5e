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
        let own = networks.teacher.network
        if let shared = other?.teacher, shared.parameters == own.parameters {
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

    /// Of the convolutions with kernels of side 3 and 4, by the number of their layer, counted from 1.
    let kernels: [Int: WinogradKernels]

    init(_ network: PatchDescriptionNetwork, threads: Int, instructionSet: InstructionSet) {
        parameters = network.parameters
        kernels = network.winogradKernels(threads: threads, instructionSet: instructionSet)
    }
}

extension PatchDescriptionNetwork {
    /// Of all layers whose kernels have side 3 or 4 but those left out.
    fileprivate func winogradKernels(
        threads: Int, instructionSet: InstructionSet, leavingOut layer: Int? = nil
    ) -> [Int: WinogradKernels] {
        var kernels: [Int: WinogradKernels] = [:]
        for number in 1...parameters.count / 2 where number != layer {
            let weight = parameters.weight("conv\(number)")
            guard (3...4).contains(weight.shape[2]) else { continue }
            kernels[number] = WinogradKernels(weight, threads: threads, instructionSet: instructionSet)
        }
        return kernels
    }
}

/// Puts the phases of a `BranchProgram` together.
private struct BranchProgramBuilder {
    private typealias NamedPhase = (name: String, phase: any WorkPhase)

    let networks: BranchNetworks
    let teacher: PreparedTeacher
    let threads: Int
    let instructionSet: InstructionSet

    private var plan = MemoryPlan()
    let input: PlaneImage
    let studentTeacher: PlaneImage
    let autoencoderStudent: PlaneImage
    let pooled: PooledValues

    /// Of the student's layers; the teacher's differ in width only.
    private let sizes: [ConvolutionGeometry]

    /// Teacher and student: both have the same layers, and every layer is one phase of both.
    private let trunks: [Trunk]

    private struct Trunk {
        let parameters: ParameterSet
        let kernels: [Int: WinogradKernels]

        func bias(_ layer: Int) -> [Float] { parameters.bias("conv\(layer)") }

        func channels(_ layer: Int) -> Int { parameters.weight("conv\(layer)").shape[0] }

        func winograd(_ layer: Int) -> WinogradKernels {
            guard let kernels = kernels[layer] else { preconditionFailure("conv\(layer) is no Winograd layer") }
            return kernels
        }
    }

    init(networks: BranchNetworks, teacher: PreparedTeacher, threads: Int, instructionSet: InstructionSet) {
        self.networks = networks
        self.teacher = teacher
        self.threads = threads
        self.instructionSet = instructionSet
        let side = networks.autoencoder.imageSide
        sizes = networks.student.layerSizes(imageHeight: side, imageWidth: side)
        input = PlaneImage(channels: 3, height: side, width: side, in: &plan)
        let map = sizes[sizes.count - 1]
        studentTeacher = PlaneImage(channels: 1, height: map.outputHeight, width: map.outputWidth, in: &plan)
        autoencoderStudent = PlaneImage(channels: 1, height: map.outputHeight, width: map.outputWidth, in: &plan)
        pooled = PooledValues(count: networks.student.outputChannels / 2, in: &plan)
        // The last layer of a small student is convolved half by half.
        let leftOut = networks.student.size == .small ? sizes.count : nil
        trunks = [
            Trunk(parameters: teacher.parameters, kernels: teacher.kernels),
            Trunk(
                parameters: networks.student.parameters,
                kernels: networks.student.winogradKernels(
                    threads: threads, instructionSet: instructionSet, leavingOut: leftOut)),
        ]
    }

    mutating func build() -> InferenceProgram {
        // Both networks read the same picture, whose tiles are transformed once.
        let pooled1 = trunks.map { image(behind: 1, channels: $0.channels(1)) }
        let conv1 = WinogradStage(
            [.init(.planes(input))],
            targets: zip(trunks, pooled1).map { trunk, image in
                .init([(0, trunk.winograd(1))], bias: trunk.bias(1), to: .image(image, .rectifier, isPooled: true))
            }, height: sizes[0].outputHeight, width: sizes[0].outputWidth, instructionSet: instructionSet)

        let pooled2 = trunks.map { image(behind: 2, channels: $0.channels(2)) }
        let conv2 = zip(trunks, zip(pooled1, pooled2)).map { stage(2, of: $0, from: $1.0, to: $1.1, isPooled: true) }

        // The autoencoder is a long chain of small layers: one thread takes it while the others do the second layers.
        let (autoencoderPhases, features) = autoencoder()
        return InferenceProgram(
            [
                ("conv1 and pool, both networks", conv1.tilewise()),
                (
                    "conv2 and pool, both networks, and the autoencoder",
                    ConcurrentPhases([SerialPhases(autoencoderPhases)] + conv2.map { $0.tilewise() })
                ),
            ] + (networks.student.size == .small ? small(from: pooled2, features) : medium(from: pooled2, features)),
            plan: plan, threads: threads)
    }

    // MARK: - PDN-S

    private mutating func small(from pooled2: [PanelImage], _ reconstruction: PanelImage) -> [NamedPhase] {
        let features = trunks.map { image(behind: 3, channels: $0.channels(3)) }
        let conv3 = layer(3, from: pooled2, to: features)

        let student = networks.student.parameters
        let half = student.weight("conv4").shape[0] / 2
        let pooling = PooledConvolutionStage(
            features[1], weights: student.weight("conv4").channels(0..<half),
            bias: Array(student.bias("conv4")[..<half]), to: pooled, in: &plan, instructionSet: instructionSet)
        let (windowSums, pooledFeatures) = pooling.phases()
        let conv4 = lastLayer(teacher: features[0], student: features[1], reconstruction: reconstruction)
            .mapwise(in: &plan, threads: threads)
        return conv3 + [
            ("conv4, tiles, and window sums", ConcurrentPhases([conv4.transform, windowSums])),
            ("conv4, both maps, and pooled features", ConcurrentPhases([conv4.squares, pooledFeatures])),
            ("conv4, means", conv4.means),
        ]
    }

    /// `T̂ − S₁` and `A − S₂`, squared and averaged.
    private func lastLayer(teacher features: PanelImage, student: PanelImage, reconstruction: PanelImage)
        -> WinogradStage
    {
        let weights = networks.student.parameters.weight("conv4")
        let bias = networks.student.parameters.bias("conv4")
        let half = weights.shape[0] / 2
        let normalisation = Normalisation(networks.teacher.statistics)
        let teacherKernels =
            normalisation.hasDeadChannels
            ? WinogradKernels(
                teacher.parameters.weight("conv4"), scale: normalisation.life, threads: threads,
                instructionSet: instructionSet)
            : trunks[0].winograd(4)
        let local = WinogradStage.Target(
            [
                (0, teacherKernels),
                (1, kernels(weights.channels(0..<half), scale: normalisation.deviation.map { -$0 })),
            ],
            bias: normalisation.differenceBias(teacher: trunks[0].bias(4), student: bias),
            to: .meanSquares(studentTeacher, scale: normalisation.deviation.map { 1 / $0 }))

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

    // MARK: - PDN-M

    /// The last layer is 1×1 behind a rectifier: the difference of both networks is one product of stacked pixels.
    private mutating func medium(from pooled2: [PanelImage], _ reconstruction: PanelImage) -> [NamedPhase] {
        let features3 = trunks.map { image(behind: 3, channels: $0.channels(3)) }
        let conv3 = ConcurrentPhases(
            zip(trunks, zip(pooled2, features3)).map { trunk, images in
                PixelStage(
                    [(images.0, PixelKernels(trunk.parameters.weight("conv3")))], bias: trunk.bias(3),
                    to: .image(images.1, .rectifier), instructionSet: instructionSet)
            })
        let features4 = trunks.map { image(behind: 4, channels: $0.channels(4)) }
        let conv4 = layer(4, from: features3, to: features4)
        let features5 = trunks.map { image(behind: 5, channels: $0.channels(5)) }
        let conv5 = layer(5, from: features4, to: features5)

        let student = networks.student.parameters
        let weights = student.weight("conv6")
        let bias = student.bias("conv6")
        let half = weights.shape[0] / 2
        let normalisation = Normalisation(networks.teacher.statistics)
        let teacherWeights = PixelKernels(
            teacher.parameters.weight("conv6"), scale: normalisation.hasDeadChannels ? normalisation.life : nil)
        let local = PixelStage(
            [
                (features5[0], teacherWeights),
                (features5[1], PixelKernels(weights.channels(0..<half), scale: normalisation.deviation.map { -$0 })),
            ], bias: normalisation.differenceBias(teacher: trunks[0].bias(6), student: bias),
            to: .meanSquares(studentTeacher, scale: normalisation.deviation.map { 1 / $0 }, addend: nil),
            instructionSet: instructionSet)

        let (lastDecoder, output) = lastDecoderLayer(from: reconstruction)
        let minus = Array(repeating: Float(-1), count: half)
        let global = PixelStage(
            [(features5[1], PixelKernels(weights.channels(half..<2 * half), scale: minus))],
            bias: bias[half...].map { -$0 },
            to: .meanSquares(autoencoderStudent, scale: Array(repeating: 1, count: half), addend: output),
            instructionSet: instructionSet)
        let (windowSums, pooledFeatures) = PooledConvolutionStage(
            features5[1], weights: weights.channels(0..<half), bias: Array(bias[..<half]), to: pooled, in: &plan,
            instructionSet: instructionSet
        ).phases()
        return [("conv3, both networks", conv3)] + conv4 + conv5 + [
            ("the autoencoder's last layer, and window sums", ConcurrentPhases([lastDecoder, windowSums])),
            ("conv6, both maps, and pooled features", ConcurrentPhases([local, global, pooledFeatures])),
        ]
    }

    private mutating func lastDecoderLayer(from features: PanelImage) -> (phase: any WorkPhase, output: PanelImage) {
        let geometry = networks.autoencoder.layerSizes[13]
        let parameters = networks.autoencoder.parameters
        let output = PanelImage(
            channels: geometry.outputChannels, height: geometry.outputHeight, width: geometry.outputWidth, in: &plan)
        let stage = WinogradStage(
            [.init(.panels(features), padding: geometry.padding)],
            targets: [
                .init(
                    [(0, kernels(parameters.weight("decoder.deconv8")))], bias: parameters.bias("decoder.deconv8"),
                    to: .image(output, .identity, isPooled: false))
            ], height: geometry.outputHeight, width: geometry.outputWidth, instructionSet: instructionSet)
        return (stage.tilewise(), output)
    }

    /// T̂ without a division: what the teacher's statistics do to weights and biases.
    private struct Normalisation {
        /// σ, 1 for dead channels.
        let deviation: [Float]

        /// 0 for dead channels of the teacher, which are zero whatever their weights say, and 1 for the others.
        let life: [Float]
        private let mean: [Float]

        var hasDeadChannels: Bool { life.contains(0) }

        init(_ statistics: ChannelStatistics) {
            mean = statistics.mean
            life = statistics.deviation.map { $0 > 0 ? 1 : 0 }
            deviation = statistics.deviation.map { $0 > 0 ? $0 : 1 }
        }

        /// The bias of `T̂ − S₁`.
        func differenceBias(teacher: [Float], student: [Float]) -> [Float] {
            mean.indices.map { channel in
                life[channel] * (teacher[channel] - mean[channel]) / deviation[channel] - student[channel]
            }
        }
    }

    // MARK: - Layers

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

    /// A layer of both networks behind the pools, without a pool of its own.
    ///
    /// Tilewise it makes a few long pieces, whose products stay in a core's cache; with more threads than those, point by
    /// point it keeps all of them busy. Both give the same bits.
    private mutating func layer(
        _ layer: Int, from sources: [PanelImage], to images: [PanelImage]
    ) -> [NamedPhase] {
        let mostThreadsTilewise = 4
        let stages = zip(trunks, zip(sources, images)).map { trunk, images in
            stage(layer, of: trunk, from: images.0, to: images.1, isPooled: false)
        }
        guard threads > mostThreadsTilewise else {
            return [("conv\(layer), both networks", ConcurrentPhases(stages.map { $0.tilewise() }))]
        }
        var phases: [WinogradStage.PointwisePhases] = []
        for stage in stages { phases.append(stage.pointwise(in: &plan)) }
        return [
            ("conv\(layer), tiles", ConcurrentPhases(phases.map(\.transform))),
            ("conv\(layer), products", ConcurrentPhases(phases.map(\.products))),
            ("conv\(layer), outputs", ConcurrentPhases(phases.map(\.combination))),
        ]
    }

    private func stage(
        _ layer: Int, of trunk: Trunk, from source: PanelImage, to image: PanelImage, isPooled: Bool
    ) -> WinogradStage {
        WinogradStage(
            [.init(.panels(source))],
            targets: [
                .init(
                    [(0, trunk.winograd(layer))], bias: trunk.bias(layer),
                    to: .image(image, .rectifier, isPooled: isPooled))
            ], height: sizes[layer - 1].outputHeight, width: sizes[layer - 1].outputWidth,
            instructionSet: instructionSet)
    }

    /// What the next layer reads, as far as its tiles reach.
    private mutating func image(behind layer: Int, channels: Int) -> PanelImage {
        let next = sizes[layer]
        return PanelImage(
            channels: channels, height: next.inputHeight, width: next.inputWidth,
            extent: next.kernelSide > 1
                ? WinogradStage.extent(
                    height: next.outputHeight, width: next.outputWidth, kernelSide: next.kernelSide) : (0, 0),
            in: &plan)
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
