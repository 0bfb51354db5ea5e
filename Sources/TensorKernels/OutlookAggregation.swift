/// The products of outlook attention: softmax, weighted values, fold (Yuan et al. 2021, arXiv:2106.13112; ALGORITHMS §2.6,
/// steps 3–5).
///
/// A pixel n looks at the K×K window around it, pixels n + δ. For each of the K² places i of the window it weighs the
/// values at all K² places j, `yᵢ(n) = Σⱼ P(n)ᵢⱼ·V(n + δⱼ)` with `P(n)ᵢ = softmax(aᵢ(n) / √d)`, and puts the result there:
/// `Y(p) = Σ yᵢ(n)` over all n and i with n + δᵢ = p, not divided by their number. Values outside the image are zero and
/// still take their share of the softmax; results outside are dropped. Each head does so for d = channels / heads channels.
///
/// Computed with one filter per pixel, which gathers the weights that any window has for it: with δ = δⱼ − δᵢ,
///
/// `Y(p) = Σ F(p, δ)·V(p + δ)` over the (2K − 1)² offsets δ, where `F(p, δ) = Σ P(p − δᵢ)ᵢⱼ` over all i, j with
/// δⱼ − δᵢ = δ.
///
/// That is (2K − 1)²·C products per pixel instead of K⁴·C, exact but for rounding, and neither the windows nor, in the
/// forward pass, the weights are ever laid out as a whole. The gradients take the same way: ∂L/∂V is ∂L/∂Y filtered by the
/// transpose of F, and `∂L/∂P(n)ᵢⱼ = D(n + δᵢ, δⱼ − δᵢ)` with `D(p, δ) = ⟨∂L/∂Y(p), V(p + δ)⟩`; the weights wait in the
/// memory that their gradients go to.
///
/// A piece of work is a band of rows of one head. It computes what it owns from start to end, in an order that the
/// geometry alone decides, so the number of threads changes no bit.
///
/// 512 channels in 8 heads at 61×61, one thread of a Zen 5 EPYC, CPU time, least of 9: windows of 3 take 10 ms forward and
/// 18 ms backward, windows of 5 take 45 and 82 ms; a thread's scratch memory is 1.5 MB forward and 2.2 MB backward.
///
/// - Layout: values and output `[channels, height, width]`, channel c in head ⌊c / d⌋; logits
///   `[heads·K⁴, height, width]`, channel head·K⁴ + i·K² + j, places row by row.
public struct OutlookAggregation: Hashable, Sendable {
    public let channels: Int
    public let heads: Int

    /// K, odd.
    public let window: Int
    public let height: Int
    public let width: Int

    /// - Precondition: Every dimension is at least 1, the window odd, and the heads divide the channels.
    public init(channels: Int, heads: Int, window: Int, height: Int, width: Int) {
        precondition(min(channels, heads, window, height, width) >= 1, "no values to aggregate")
        precondition(window % 2 == 1, "a window of \(window)×\(window) has no centre")
        precondition(channels % heads == 0, "\(heads) heads do not divide \(channels) channels")
        self.channels = channels
        self.heads = heads
        self.window = window
        self.height = height
        self.width = width
    }

    /// heads·K⁴.
    public var logitChannels: Int { heads * places * places }

    /// Multiply-accumulate operations of the definition, K⁴·C per pixel (ALGORITHMS §2.6).
    public var multiplyAccumulates: Int { places * places * channels * height * width }

    /// - Parameter threads: How many threads compute at once; every number of them gives the same bits.
    public func forward(
        values: Span<Float>, logits: Span<Float>, into output: inout MutableSpan<Float>, threads: Int = 1
    ) {
        precondition(values.count == channels * plane, "values do not fit the aggregation")
        precondition(logits.count == logitChannels * plane, "logits do not fit the aggregation")
        precondition(output.count == channels * plane, "output does not fit the aggregation")
        withPointers(values, logits, &output) { values, logits, output in
            let memory = ScratchLayout(of: self)
            forEachBand(threads: threads, floatsPerThread: memory.forwardCount) { head, rows, scratch in
                var filters = zeroFilters(rows: rows, in: scratch + memory.filters)
                for y in self.rows(around: rows, reach: radius) {
                    for i in 0..<places {
                        softmax(of: logits, head: head, place: i, row: y, into: scratch + memory.weights)
                        add(scratch + memory.weights, place: i, row: y, to: &filters)
                    }
                }
                let source = copy(
                    of: values, head: head, around: rows, reach: reach, in: scratch + memory.values)
                filter(source, by: filters, into: output + head * depth * plane)
            }
        }
    }

    /// `valueGradient ← ∂L/∂V` and `logitGradient ← ∂L/∂a`, from ∂L/∂Y and what the forward pass was given.
    ///
    /// With the weights P of a place i and their gradients, `∂L/∂aⱼ = Pⱼ·(∂L/∂Pⱼ − Σ Pⱼ·∂L/∂Pⱼ) / √d`.
    ///
    /// - Parameter threads: How many threads compute at once; every number of them gives the same bits.
    public func gradients(
        from outputGradient: Span<Float>, values: Span<Float>, logits: Span<Float>,
        valueGradient: inout MutableSpan<Float>, logitGradient: inout MutableSpan<Float>, threads: Int = 1
    ) {
        precondition(outputGradient.count == channels * plane, "output gradient does not fit the aggregation")
        precondition(values.count == channels * plane, "values do not fit the aggregation")
        precondition(logits.count == logitChannels * plane, "logits do not fit the aggregation")
        precondition(valueGradient.count == channels * plane, "value gradient does not fit the aggregation")
        precondition(logitGradient.count == logitChannels * plane, "logit gradient does not fit the aggregation")
        withPointers(values, logits, &logitGradient) { values, logits, logitGradient in
            withPointers(outputGradient, outputGradient, &valueGradient) { outputGradient, _, valueGradient in
                let memory = ScratchLayout(of: self)
                forEachBand(threads: threads, floatsPerThread: memory.backwardCount) { head, rows, scratch in
                    let weights = scratch + memory.weights
                    var filters = zeroFilters(rows: rows, in: scratch + memory.filters)
                    for y in self.rows(around: rows, reach: radius) {
                        for i in 0..<places {
                            softmax(of: logits, head: head, place: i, row: y, into: weights)
                            addTransposed(weights, place: i, row: y, to: &filters)
                            // Kept where their gradient will be, until all filters are ready.
                            guard rows.contains(y) else { continue }
                            forEachWeightRow(head: head, place: i, row: y, in: weights) { j, weights in
                                (logitGradient + j).update(from: weights, count: width)
                            }
                        }
                    }
                    let gradient = copy(
                        of: outputGradient, head: head, around: rows, reach: reach, in: scratch + memory.gradients)
                    filter(gradient, by: filters, into: valueGradient + head * depth * plane)

                    let source = copy(
                        of: values, head: head, around: rows, reach: radius, in: scratch + memory.values)
                    let products = correlate(gradient, with: source, in: scratch + memory.filters)
                    for y in rows {
                        for i in 0..<places {
                            forEachWeightRow(head: head, place: i, row: y, in: weights) { j, weights in
                                weights.update(from: logitGradient + j, count: width)
                            }
                            turnIntoLogitGradient(weights, place: i, row: y, products: products)
                            forEachWeightRow(head: head, place: i, row: y, in: weights) { j, weights in
                                (logitGradient + j).update(from: weights, count: width)
                            }
                        }
                    }
                }
            }
        }
    }
}

// MARK: - Pieces

extension OutlookAggregation {
    private var plane: Int { height * width }

    /// K², the places of a window.
    private var places: Int { window * window }

    /// How far a window reaches from its centre, (K − 1) / 2.
    private var radius: Int { (window - 1) / 2 }

    /// How far a filter reaches, K − 1.
    private var reach: Int { window - 1 }

    /// (2K − 1)², the offsets of a filter.
    private var taps: Int { (2 * window - 1) * (2 * window - 1) }

    /// d, the channels of a head.
    private var depth: Int { channels / heads }

    /// How far place i is below or right of the first place of the window.
    private func placeRow(_ i: Int) -> Int { i / window }
    private func placeColumn(_ i: Int) -> Int { i % window }

    /// The filter's offset from one place of the window to another.
    private func tap(from i: Int, to j: Int) -> Int {
        (placeRow(j) - placeRow(i) + reach) * (2 * window - 1) + placeColumn(j) - placeColumn(i) + reach
    }

    /// Where a thread's scratch memory holds what, in floats from its start.
    private struct ScratchLayout {
        /// K² rows of weights.
        let weights = 0

        /// The filters of a band; later the products of gradients and values.
        let filters: Int

        /// A head's values and gradients of a band and around it.
        let values: Int
        let gradients: Int
        let forwardCount: Int
        let backwardCount: Int

        init(of aggregation: OutlookAggregation) {
            let (width, reach, radius) = (aggregation.width, aggregation.reach, aggregation.radius)
            let rows = aggregation.bands.largest
            filters = aggregation.places * PaddedRows.lanedWidth(width)
            values =
                filters
                + PaddedRows.count(
                    rows: rows + 2 * radius, planes: aggregation.taps, width: width, margin: radius)
            forwardCount =
                values
                + PaddedRows.count(rows: rows + 2 * reach, planes: aggregation.depth, width: width, margin: reach)
            gradients = forwardCount
            backwardCount = gradients + (forwardCount - values)
        }
    }

    /// At most 32 rows, which bounds the scratch memory; fewer where there are few heads, down to 8, so that sixteen
    /// threads find work.
    private var bands: EvenCut {
        let needed = (16 + heads - 1) / heads
        return EvenCut(of: height, into: max((height + 31) / 32, min(needed, height / 8)))
    }

    private func forEachBand(
        threads: Int, floatsPerThread: Int,
        _ body: (_ head: Int, _ rows: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) -> Void
    ) {
        let bands = bands
        DataParallelLoop(threads: threads).run(pieces: heads * bands.count, floatsPerThread: floatsPerThread) {
            piece, scratch in
            body(piece / bands.count, bands[piece % bands.count], scratch)
        }
    }

    /// The rows of the image that are at most `reach` away from some rows.
    private func rows(around rows: Range<Int>, reach: Int) -> Range<Int> {
        max(0, rows.lowerBound - reach)..<min(height, rows.upperBound + reach)
    }

    private func zeroFilters(rows: Range<Int>, in scratch: UnsafeMutablePointer<Float>) -> PaddedRows {
        PaddedRows(zeroing: scratch, rows: rows, planes: taps, width: width, margin: radius)
    }

    /// A head's channels in some rows and those that are at most `reach` away.
    private func copy(
        of image: UnsafePointer<Float>, head: Int, around rows: Range<Int>, reach: Int,
        in scratch: UnsafeMutablePointer<Float>
    ) -> PaddedRows {
        PaddedRows(
            copying: image + head * depth * plane, height: height, width: width,
            rows: self.rows(around: rows, reach: reach), planes: depth, margin: self.reach, into: scratch)
    }

    /// Visits the weights of a place for all j: where their row starts in `[heads·K⁴, height, width]` and in scratch.
    private func forEachWeightRow(
        head: Int, place i: Int, row y: Int, in weights: UnsafeMutablePointer<Float>,
        _ body: (_ start: Int, _ weights: UnsafeMutablePointer<Float>) -> Void
    ) {
        let lanedWidth = PaddedRows.lanedWidth(width)
        for j in 0..<places {
            body((((head * places + i) * places + j) * height + y) * width, weights + j * lanedWidth)
        }
    }
}

// MARK: - Steps

extension OutlookAggregation {
    /// `weights[j, x] ← P(y, x)ᵢⱼ` for a row of pixels; zero right of the image.
    private func softmax(
        of logits: UnsafePointer<Float>, head: Int, place i: Int, row y: Int,
        into weights: UnsafeMutablePointer<Float>
    ) {
        let lanedWidth = PaddedRows.lanedWidth(width)
        forEachWeightRow(head: head, place: i, row: y, in: weights) { j, weights in
            weights.update(from: logits + j, count: width)
            (weights + width).update(repeating: 0, count: lanedWidth - width)
        }
        let scale = FloatLanes(repeating: 1 / Float(depth).squareRoot())
        for x in stride(from: 0, to: width, by: FloatLanes.scalarCount) {
            var largest = FloatLanes(at: weights + x)
            for j in 1..<places {
                let logit = FloatLanes(at: weights + (j * lanedWidth + x))
                largest = largest.replacing(with: logit, where: logit .> largest)
            }
            var sum = FloatLanes()
            for j in 0..<places {
                let place = weights + (j * lanedWidth + x)
                let power = FloatLanes.exponential(ofNonPositive: (FloatLanes(at: place) - largest) * scale)
                power.store(at: place)
                sum += power
            }
            let share = FloatLanes(repeating: 1) / sum
            for j in 0..<places {
                let place = weights + (j * lanedWidth + x)
                (FloatLanes(at: place) * share).store(at: place)
            }
        }
        // Zeros have become equal weights.
        for j in 0..<places { (weights + (j * lanedWidth + width)).update(repeating: 0, count: lanedWidth - width) }
    }

    /// `F(n + δᵢ, δⱼ − δᵢ) += P(n)ᵢⱼ` for a row of pixels n, all j and the rows that the filters have.
    private func add(
        _ weights: UnsafePointer<Float>, place i: Int, row y: Int, to filters: inout PaddedRows
    ) {
        let target = y + placeRow(i) - radius
        guard filters.rows.contains(target) else { return }
        for j in 0..<places {
            addRow(
                weights + j * PaddedRows.lanedWidth(width),
                to: filters.start(row: target, plane: tap(from: i, to: j)) + (placeColumn(i) - radius))
        }
    }

    /// `F(n + δⱼ, δᵢ − δⱼ) += P(n)ᵢⱼ`: the transpose, which takes from where `add` puts.
    private func addTransposed(
        _ weights: UnsafePointer<Float>, place i: Int, row y: Int, to filters: inout PaddedRows
    ) {
        for j in 0..<places {
            let target = y + placeRow(j) - radius
            guard filters.rows.contains(target) else { continue }
            addRow(
                weights + j * PaddedRows.lanedWidth(width),
                to: filters.start(row: target, plane: tap(from: j, to: i)) + (placeColumn(j) - radius))
        }
    }

    @inline(__always)
    private func addRow(_ row: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>) {
        for x in stride(from: 0, to: width, by: FloatLanes.scalarCount) {
            (FloatLanes(at: target + x) + FloatLanes(at: row + x)).store(at: target + x)
        }
    }

    /// `target(p) ← Σ F(p, δ)·source(p + δ)` in the filters' rows, for the channels of a head.
    private func filter(
        _ source: PaddedRows, by filters: PaddedRows, into target: UnsafeMutablePointer<Float>
    ) {
        let side = 2 * window - 1
        for y in filters.rows {
            let visible = rows(around: y..<y + 1, reach: reach)
            for c in 0..<source.planes {
                let targetRow = target + (c * plane + y * width)
                for x in stride(from: 0, to: width, by: FloatLanes.scalarCount) {
                    var sum = FloatLanes()
                    for row in visible {
                        let firstTap = (row - y + reach) * side
                        let pixels = source.start(row: row, plane: c) + (x - reach)
                        for tap in 0..<side {
                            let weights = filters.start(row: y, plane: firstTap + tap) + x
                            sum += FloatLanes(at: weights) * FloatLanes(at: pixels + tap)
                        }
                    }
                    sum.store(first: width - x, at: targetRow + x)
                }
            }
        }
    }

    /// `D(p, δ) = Σ gradient(p)·source(p + δ)` over the channels of a head, for p and p + δ in the rows of the source.
    private func correlate(
        _ gradient: PaddedRows, with source: PaddedRows, in scratch: UnsafeMutablePointer<Float>
    ) -> PaddedRows {
        let products = zeroFilters(rows: source.rows, in: scratch)
        let side = 2 * window - 1
        for y in products.rows {
            for row in self.rows(around: y..<y + 1, reach: reach).clamped(to: source.rows) {
                for tap in 0..<side {
                    let target = products.start(row: y, plane: (row - y + reach) * side + tap)
                    for x in stride(from: 0, to: width, by: FloatLanes.scalarCount) {
                        var sum = FloatLanes()
                        for c in 0..<source.planes {
                            let pixels = source.start(row: row, plane: c) + (x + tap - reach)
                            sum += FloatLanes(at: gradient.start(row: y, plane: c) + x) * FloatLanes(at: pixels)
                        }
                        sum.store(at: target + x)
                    }
                }
            }
        }
        return products
    }

    /// Turns the weights of a row of pixels, `weights[j, x] = P(y, x)ᵢⱼ`, into the gradients of their logits.
    private func turnIntoLogitGradient(
        _ weights: UnsafeMutablePointer<Float>, place i: Int, row y: Int, products: PaddedRows
    ) {
        let lanedWidth = PaddedRows.lanedWidth(width)
        let target = y + placeRow(i) - radius
        guard products.rows.contains(target) else {
            // The place is outside the image, and its result was dropped.
            weights.update(repeating: 0, count: places * lanedWidth)
            return
        }
        let scale = FloatLanes(repeating: 1 / Float(depth).squareRoot())
        for x in stride(from: 0, to: width, by: FloatLanes.scalarCount) {
            func product(_ j: Int) -> FloatLanes {
                FloatLanes(
                    at: products.start(row: target, plane: tap(from: i, to: j)) + (x + placeColumn(i) - radius))
            }
            var mean = FloatLanes()
            for j in 0..<places { mean += FloatLanes(at: weights + (j * lanedWidth + x)) * product(j) }
            for j in 0..<places {
                let place = weights + (j * lanedWidth + x)
                (scale * FloatLanes(at: place) * (product(j) - mean)).store(at: place)
            }
        }
    }
}

extension OutlookAggregation {
    /// `forward` into a new tensor.
    public func forward(values: Tensor, logits: Tensor, threads: Int = 1) -> Tensor {
        Tensor(shape: [channels, height, width]) {
            forward(values: values.values.span, logits: logits.values.span, into: &$0, threads: threads)
        }
    }

    /// `gradients` into new tensors.
    public func gradients(
        from outputGradient: Tensor, values: Tensor, logits: Tensor, threads: Int = 1
    ) -> (values: Tensor, logits: Tensor) {
        var valueGradient = Tensor(shape: [channels, height, width])
        let logitGradient = Tensor(shape: [logitChannels, height, width]) { logitSpan in
            var valueSpan = valueGradient.values.mutableSpan
            gradients(
                from: outputGradient.values.span, values: values.values.span, logits: logits.values.span,
                valueGradient: &valueSpan, logitGradient: &logitSpan, threads: threads)
        }
        return (valueGradient, logitGradient)
    }
}
