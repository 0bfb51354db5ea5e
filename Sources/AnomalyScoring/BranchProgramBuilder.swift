import ConvNets
import TensorKernels

/// Puts the phases of a `BranchProgram` together.
struct BranchProgramBuilder {
    typealias NamedPhase = (name: String, phase: any WorkPhase)

    let networks: BranchNetworks
    let teacher: PreparedTeacher
    let threads: Int
    let instructionSet: InstructionSet

    var plan = MemoryPlan()
    let input: PlaneImage
    let studentTeacher: PlaneImage
    let autoencoderStudent: PlaneImage
    let pooled: PooledValues

    /// Of the student's layers; the teacher's differ in width only.
    let sizes: [ConvolutionGeometry]

    /// Teacher and student: both have the same layers, and every layer is one phase of both.
    let trunks: [Trunk]

    /// LA-EAD's extractor, where its features are pooled.
    let extractor: (network: ContextExtractor, trunk: Trunk)?

    struct Trunk {
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
        // The last layer of a small student is convolved half by half.
        let studentLayers = networks.student.size == .small ? sizes.count - 1 : sizes.count
        trunks = [
            Trunk(parameters: teacher.parameters, kernels: teacher.kernels),
            Trunk(
                parameters: networks.student.parameters,
                kernels: networks.student.parameters.winogradKernels(
                    ofLayers: 1...studentLayers, threads: threads, instructionSet: instructionSet)),
        ]
        if case .contextExtractor(let network) = networks.pooling {
            let kernels = network.parameters.winogradKernels(
                ofLayers: [1, 2, 4, 5], threads: threads, instructionSet: instructionSet)
            extractor = (network, Trunk(parameters: network.parameters, kernels: kernels))
            pooled = PooledValues(count: network.outputChannels, in: &plan)
        } else {
            extractor = nil
            pooled = PooledValues(count: networks.student.outputChannels / 2, in: &plan)
        }
    }

    mutating func build() -> InferenceProgram {
        // All networks read the same picture, whose tiles are transformed once; the extractor begins like the others.
        let stems = [extractor?.trunk].compactMap(\.self) + trunks
        let pooled1 = stems.map { image(behind: 1, channels: $0.channels(1)) }
        let conv1 = WinogradStage(
            [.init(.planes(input))],
            targets: zip(stems, pooled1).map { trunk, image in
                .init([(0, trunk.winograd(1))], bias: trunk.bias(1), to: .image(image, .rectifier, isPooled: true))
            }, height: sizes[0].outputHeight, width: sizes[0].outputWidth, instructionSet: instructionSet)

        let pooled2 = stems.map { image(behind: 2, channels: $0.channels(2)) }
        let conv2 = zip(stems, zip(pooled1, pooled2)).map { stage(2, of: $0, from: $1.0, to: $1.1, isPooled: true) }

        // The autoencoder is a long chain of small layers: one thread takes it while the others do the second layers.
        let (autoencoderPhases, features) = autoencoder()
        var phases: [NamedPhase] = [
            ("conv1 and pool, all networks", conv1.tilewise()),
            (
                "conv2 and pool, all networks, and the autoencoder",
                ConcurrentPhases([SerialPhases(autoencoderPhases)] + conv2.map { $0.tilewise() })
            ),
        ]
        let both = Array(pooled2.suffix(trunks.count))
        phases += networks.student.size == .small ? small(from: both, features) : medium(from: both, features)
        if let extractor { phases += self.phases(of: extractor.network, extractor.trunk, from: pooled2[0]) }
        return InferenceProgram(phases, plan: plan, threads: threads)
    }

    /// A layer of both networks behind the pools, without a pool of its own.
    ///
    /// Tilewise it makes a few long pieces, whose products stay in a core's cache; with more threads than those, point by
    /// point it keeps all of them busy. Both give the same bits.
    mutating func layer(
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

    func stage(
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
    mutating func image(behind layer: Int, channels: Int) -> PanelImage {
        let next = sizes[layer]
        return PanelImage(
            channels: channels, height: next.inputHeight, width: next.inputWidth,
            extent: next.kernelSide > 1
                ? WinogradStage.extent(
                    height: next.outputHeight, width: next.outputWidth, kernelSide: next.kernelSide) : (0, 0),
            in: &plan)
    }

    func kernels(_ weights: Tensor, scale: [Float]? = nil) -> WinogradKernels {
        WinogradKernels(weights, scale: scale, threads: threads, instructionSet: instructionSet)
    }
}

extension ParameterSet {
    /// - Precondition: The networks have checked their parameters.
    func weight(_ layer: String) -> Tensor {
        guard let tensor = tensor(named: "\(layer).weight") else { preconditionFailure("no layer '\(layer)'") }
        return tensor
    }

    func bias(_ layer: String) -> [Float] {
        guard let tensor = tensor(named: "\(layer).bias") else { preconditionFailure("no layer '\(layer)'") }
        return tensor.values
    }
}

extension Tensor {
    /// Some of the first dimension.
    func channels(_ range: Range<Int>) -> Tensor {
        let size = count / shape[0]
        return Tensor(
            shape: [range.count] + shape.dropFirst(),
            values: Array(values[range.lowerBound * size..<range.upperBound * size]))
    }
}
