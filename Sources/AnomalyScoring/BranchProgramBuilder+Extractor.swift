import ConvNets
import TensorKernels

extension BranchProgramBuilder {
    /// LA-EAD's extractor behind its second pool (ALGORITHMS §2.5), as far as its pooled features need it.
    ///
    /// The attention's projections, its fusion and conv3 have nothing in between: they are one product. So have conv6 and
    /// the mean over all positions, so that conv6 sees one pixel and conv5 is summed up instead of stored.
    mutating func phases(
        of network: ContextExtractor, _ trunk: Trunk, from features: PanelImage
    ) -> [NamedPhase] {
        let side = networks.autoencoder.imageSide
        let sizes = network.layerSizes(imageHeight: side, imageWidth: side)
        let (dilated, padded) = (sizes[3], sizes[4])
        precondition(dilated.padding == 0 && padded.dilation == 1, "another extractor than the one laid out here")

        let features3 = PanelImage(
            channels: trunk.channels(3), height: dilated.inputHeight, width: dilated.inputWidth,
            extent: WinogradStage.extent(
                height: dilated.outputHeight, width: dilated.outputWidth, kernelSide: dilated.kernelSide,
                dilation: dilated.dilation), in: &plan)
        let features4 = PanelImage(
            channels: trunk.channels(4), height: padded.inputHeight, width: padded.inputWidth, margin: padded.padding,
            extent: WinogradStage.extent(
                height: padded.outputHeight, width: padded.outputWidth, kernelSide: padded.kernelSide), in: &plan)
        let sums = TileSums(
            channels: trunk.channels(5), height: padded.outputHeight, width: padded.outputWidth,
            kernelSide: padded.kernelSide, in: &plan)
        let means = PooledValues(count: trunk.channels(5), in: &plan)

        // What attention, conv4 and conv5 leave behind in turn has no margins and may lie in the same place.
        let place = plan.next
        let (attention, aggregated) = attention(trunk.parameters, to: features)
        let conv3 = mixture(trunk.parameters)
        let mixing = PixelStage(
            [(.rows(aggregated), PixelKernels(conv3.weights))], bias: conv3.bias, to: .image(features3, .rectifier),
            instructionSet: instructionSet)

        plan.reuse(from: place)
        let conv4 = WinogradStage(
            [.init(.panels(features3))],
            targets: [
                .init([(0, trunk.winograd(4))], bias: trunk.bias(4), to: .image(features4, .rectifier, isPooled: false))
            ], height: dilated.outputHeight, width: dilated.outputWidth, dilation: dilated.dilation,
            instructionSet: instructionSet
        ).pointwise(in: &plan)

        plan.reuse(from: place)
        let conv5 = WinogradStage(
            [.init(.panels(features4), padding: padded.padding)],
            targets: [.init([(0, trunk.winograd(5))], bias: trunk.bias(5), to: .tileSums(sums, .rectifier))],
            height: padded.outputHeight, width: padded.outputWidth, instructionSet: instructionSet
        ).pointwise(in: &plan)
        let conv6 = PooledProduct(
            means, weights: trunk.parameters.weight("conv6"), bias: trunk.bias(6), to: pooled,
            instructionSet: instructionSet)
        return attention + [
            ("extractor, projections, fusion and conv3", mixing),
            ("extractor, conv4, tiles", conv4.transform),
            ("extractor, conv4, products", conv4.products),
            ("extractor, conv4, outputs", conv4.combination),
            ("extractor, conv5, tiles", conv5.transform),
            ("extractor, conv5, products", conv5.products),
            ("extractor, conv5, sums", conv5.combination),
            ("extractor, means", sums.means(to: means)),
            ("extractor, conv6", conv6),
        ]
    }

    /// Both windows' attention as far as the projections, one window's channels behind the other's.
    private mutating func attention(
        _ parameters: ParameterSet, to features: PanelImage
    ) -> (phases: [NamedPhase], aggregated: RowPanelImage) {
        let (channels, height, width) = (features.channels, features.height, features.width)
        let all = Self.windows.count * channels
        let rows = RowPanelImage(channels: channels, height: height, width: width, in: &plan)
        let values = RowPanelImage(channels: all, height: height, width: width, in: &plan)
        let aggregated = RowPanelImage(channels: all, height: height, width: width, in: &plan)
        let weights = Tensor(
            shape: [all, channels, 1, 1],
            values: Array(Self.windows.map { parameters.weight("\(Self.outlook($0)).v").values }.joined()))
        let outlooks: [any WorkPhase] = Self.windows.enumerated().map { number, window in
            let logits = "\(Self.outlook(window)).attn"
            let weights = parameters.weight(logits)
            return OutlookStage(
                rows, values: values, channels: number * channels..<(number + 1) * channels,
                heads: weights.shape[0] / (window * window * window * window), window: window, logitWeights: weights,
                logitBias: parameters.bias(logits), to: aggregated, instructionSet: instructionSet)
        }
        return (
            [
                (
                    "attention, pixels of a row side by side",
                    TranspositionStage(features, to: rows, instructionSet: instructionSet)
                ),
                (
                    "attention, values",
                    RowProductStage(
                        rows, weights: RowKernels(weights, groupWidth: 64), to: values, instructionSet: instructionSet)
                ),
                // The larger window has the longer pieces.
                ("attention, logits and their sums of values", ConcurrentPhases(outlooks.reversed())),
            ], aggregated
        )
    }

    /// The projections of both windows, the fusion and conv3.
    private func mixture(_ parameters: ParameterSet) -> AffineMap {
        func map(_ layer: String) -> AffineMap {
            AffineMap(weights: parameters.weight(layer), bias: parameters.bias(layer))
        }
        return map("conv3").after(map("attention.fusion")).after(
            .stacked(Self.windows.map { map("\(Self.outlook($0)).proj") }))
    }

    private static let windows = [3, 5]

    private static func outlook(_ window: Int) -> String { "attention.outlook\(window)" }
}
