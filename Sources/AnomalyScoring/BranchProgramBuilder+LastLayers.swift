import ConvNets
import TensorKernels

extension BranchProgramBuilder {
    // MARK: - PDN-S

    mutating func small(from pooled2: [PanelImage], _ reconstruction: PanelImage) -> [NamedPhase] {
        let features = trunks.map { image(behind: 3, channels: $0.channels(3)) }
        let conv3 = layer(3, from: pooled2, to: features)

        let pooling = pooledFeatures(from: features, lastLayer: "conv4")
        let conv4 = lastLayer(teacher: features[0], student: features[1], reconstruction: reconstruction)
            .mapwise(in: &plan, threads: threads)
        return conv3 + [
            ("conv4, tiles, and window sums", ConcurrentPhases([conv4.transform] + pooling.windows)),
            ("conv4, both maps, and pooled features", ConcurrentPhases([conv4.squares] + pooling.results)),
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
        let normalisation = TeacherNormalisation(networks.teacher.statistics)
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
    mutating func medium(from pooled2: [PanelImage], _ reconstruction: PanelImage) -> [NamedPhase] {
        let features3 = trunks.map { image(behind: 3, channels: $0.channels(3)) }
        let conv3 = ConcurrentPhases(
            zip(trunks, zip(pooled2, features3)).map { trunk, images in
                PixelStage(
                    [(.panels(images.0), PixelKernels(trunk.parameters.weight("conv3")))], bias: trunk.bias(3),
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
        let normalisation = TeacherNormalisation(networks.teacher.statistics)
        let teacherWeights = PixelKernels(
            teacher.parameters.weight("conv6"), scale: normalisation.hasDeadChannels ? normalisation.life : nil)
        let local = PixelStage(
            [
                (.panels(features5[0]), teacherWeights),
                (
                    .panels(features5[1]),
                    PixelKernels(weights.channels(0..<half), scale: normalisation.deviation.map { -$0 })
                ),
            ], bias: normalisation.differenceBias(teacher: trunks[0].bias(6), student: bias),
            to: .meanSquares(studentTeacher, scale: normalisation.deviation.map { 1 / $0 }, addend: nil),
            instructionSet: instructionSet)

        let (lastDecoder, output) = lastDecoderLayer(from: reconstruction)
        let minus = Array(repeating: Float(-1), count: half)
        let global = PixelStage(
            [(.panels(features5[1]), PixelKernels(weights.channels(half..<2 * half), scale: minus))],
            bias: bias[half...].map { -$0 },
            to: .meanSquares(autoencoderStudent, scale: Array(repeating: 1, count: half), addend: output),
            instructionSet: instructionSet)
        let pooling = pooledFeatures(from: features5, lastLayer: "conv6")
        return [("conv3, both networks", conv3)] + conv4 + conv5 + [
            ("the autoencoder's last layer, and window sums", ConcurrentPhases([lastDecoder] + pooling.windows)),
            ("conv6, both maps, and pooled features", ConcurrentPhases([local, global] + pooling.results)),
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
}
