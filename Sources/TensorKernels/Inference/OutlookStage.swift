import CKernels

/// Outlook attention behind its values, `OutlookAggregation` with logits that exist for a row at a time: they are
/// multiplied, turned into weights and added to the filters while they are in the cache.
///
/// A piece is a band of rows of one head. For the filters of its rows it takes the window's places row by row: those i in
/// row a of the window put their weights a − r rows below the pixels that they come from (r the radius), so that every
/// logit is computed once and by one piece.
package struct OutlookStage: WorkPhase {
    private let source: RowPanelImage
    private let values: RowPanelImage
    private let destination: RowPanelImage
    private let firstChannel: Int
    private let heads: Int
    private let window: Int

    /// d, the channels of a head.
    private let depth: Int
    private let weights: RowKernels
    private let bias: [Float]
    private let kernels: VectorKernels

    /// Where a place's weights for the places j of its window go, counted from that of the first one, in floats.
    private let taps: [Int]

    /// Rows of a piece, at most: its filters stay in a core's cache.
    private static let mostRows = 16

    /// - Parameters:
    ///   - source: The features that attend to others.
    ///   - values: In some of its channels V, as many as `destination` gets.
    ///   - channels: Those of V, and of the result in `destination`.
    ///   - window: K, odd.
    ///   - logitWeights: `[heads·K⁴, channels, 1, 1]`: logit head·K⁴ + i·K² + j weighs, for place i of the window, the value
    ///     at place j.
    ///   - logitBias: heads·K⁴.
    package init(
        _ source: RowPanelImage, values: RowPanelImage, channels: Range<Int>, heads: Int, window: Int,
        logitWeights: Tensor, logitBias: [Float], to destination: RowPanelImage, instructionSet: InstructionSet = .best
    ) {
        precondition(window % 2 == 1 && channels.count % heads == 0, "an attention that does not divide its channels")
        precondition(
            (source.height, source.width) == (values.height, values.width)
                && (source.height, source.width) == (destination.height, destination.width)
                && channels.upperBound <= min(values.channels, destination.channels)
                && logitWeights.shape[0] == heads * window * window * window * window
                && logitWeights.shape[1] == source.channels && logitBias.count == logitWeights.shape[0],
            "an attention over other images")
        self.source = source
        self.values = values
        self.destination = destination
        firstChannel = channels.lowerBound
        self.heads = heads
        self.window = window
        depth = channels.count / heads
        // The softmax's 1/√d.
        let scale = 1 / Float(depth).squareRoot()
        weights = RowKernels(logitWeights, groupWidth: window * window * window, scale: scale)
        bias = logitBias.map { scale * $0 }
        let step = PaddedRows.stride(width: source.width, margin: window / 2)
        taps = (0..<window * window).map { ($0 / window * (2 * window - 1) + $0 % window) * step }
        kernels = VectorKernels(instructionSet)
    }

    /// K², the places of a window.
    private var places: Int { window * window }

    /// How far a window reaches from its centre.
    private var radius: Int { window / 2 }

    /// How far a filter reaches, K − 1.
    private var reach: Int { window - 1 }

    /// The side of a filter, 2K − 1.
    private var side: Int { 2 * window - 1 }

    private var bands: EvenCut {
        EvenCut(of: source.height, into: (source.height + Self.mostRows - 1) / Self.mostRows)
    }

    package var pieces: Int { heads * bands.count }

    /// Logits of K places of a row of pixels.
    private var logitCount: Int { window * places * source.panels * VectorKernels.panelColumns }

    private var filterCount: Int {
        PaddedRows.count(rows: bands.largest, planes: side * side, width: source.width, margin: radius)
    }

    package var scratchCount: Int {
        logitCount + filterCount
            + PaddedRows.count(rows: bands.largest + 2 * reach, planes: depth, width: source.width, margin: reach)
    }

    package func run(piece: Int, in memory: ProgramMemory) {
        let (head, band) = piece.quotientAndRemainder(dividingBy: bands.count)
        let rows = bands[band]
        let filters = PaddedRows(
            zeroing: memory.scratch + logitCount, rows: rows, planes: side * side, width: source.width, margin: radius)
        for a in 0..<window {
            for target in rows where (0..<source.height).contains(target - a + radius) {
                addWeights(ofPlaceRow: a, head: head, from: target - a + radius, to: filters, row: target, in: memory)
            }
        }
        apply(filters, head: head, in: memory)
    }

    /// `F(n + δᵢ, δⱼ − δᵢ) += P(n)ᵢⱼ` for a row of pixels n, the places i in a row of the window and all j.
    private func addWeights(
        ofPlaceRow a: Int, head: Int, from y: Int, to filters: PaddedRows, row: Int, in memory: ProgramMemory
    ) {
        let (lanes, panel) = (VectorKernels.lanes, VectorKernels.panelColumns)
        let logits = memory.scratch
        let panelStep = window * places * panel
        weights.multiply(
            group: head * window + a, by: source, row: y, into: logits, panelStep: panelStep, on: kernels,
            in: memory.shared)
        bias.withUnsafeBufferPointer { bias in
            taps.withUnsafeBufferPointer { taps in
                guard let bias = bias.baseAddress else { return }
                for b in 0..<window {
                    let firstTap = (reach - a) * side + reach - b
                    let firstLogit = ((head * window + a) * window + b) * places
                    for x in stride(from: 0, to: source.width, by: lanes) {
                        kernels.functions.pointee.add_softmax(
                            logits + (x / panel * panelStep + b * places * panel + x % panel), panel, places,
                            bias + firstLogit, min(lanes, source.width - x),
                            filters.start(row: row, plane: firstTap) + (x + b - radius), taps.baseAddress)
                    }
                }
            }
        }
    }

    /// `Y(p) = Σ F(p, δ)·V(p + δ)` in the filters' rows, for the channels of a head.
    private func apply(_ filters: PaddedRows, head: Int, in memory: ProgramMemory) {
        let (lanes, panel) = (VectorKernels.lanes, VectorKernels.panelColumns)
        let around = rows(around: filters.rows)
        let firstChannel = firstChannel + head * depth
        let pixels = PaddedRows(
            zeroing: memory.scratch + (logitCount + filterCount), rows: around, planes: depth, width: source.width,
            margin: reach)
        for y in around {
            for channel in 0..<depth {
                for x in stride(from: 0, to: source.width, by: panel) {
                    (pixels.start(row: y, plane: channel) + x).update(
                        from: values.pixel(memory.shared, channel: firstChannel + channel, y: y, x: x),
                        count: min(panel, source.width - x))
                }
            }
        }
        for y in filters.rows {
            let visible = rows(around: y..<y + 1)
            let firstTap = (visible.lowerBound - y + reach) * side
            for x in stride(from: 0, to: source.width, by: lanes) {
                kernels.functions.pointee.filter_lanes(
                    filters.start(row: y, plane: firstTap) + x, filters.stride,
                    pixels.start(row: visible.lowerBound, plane: 0) + (x - reach), depth * pixels.stride, pixels.stride,
                    visible.count, side, depth,
                    destination.pixel(memory.shared, channel: firstChannel, y: y, x: x), panel)
            }
        }
    }

    /// The rows of the image that a filter reaches from some rows.
    private func rows(around rows: Range<Int>) -> Range<Int> {
        max(0, rows.lowerBound - reach)..<min(source.height, rows.upperBound + reach)
    }
}
