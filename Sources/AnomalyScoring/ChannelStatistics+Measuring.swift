import TensorKernels

extension ChannelStatistics {
    /// Channels whose output never changes on good parts; their normalised value is always 0.
    public var deadChannels: [Int] { deviation.indices.filter { deviation[$0] == 0 } }

    /// Collects the teacher's features of one picture after the other (ALGORITHMS §1.3, D2).
    ///
    /// Chan, Golub & LeVeque's pairwise update of Welford's method: per picture a mean and a sum of squared deviations
    /// in `Double`, merged without cancellation.
    public struct Accumulator: Sendable {
        private var count = 0.0
        private var mean: [Double] = []
        private var squares: [Double] = []

        public init() {}

        /// - Parameter features: `[channels, height, width]`, always with the same number of channels.
        public mutating func add(_ features: Tensor) {
            let channels = features.shape[0]
            if mean.isEmpty {
                mean = Array(repeating: 0, count: channels)
                squares = mean
            }
            precondition(mean.count == channels, "\(channels) channels after \(mean.count)")
            let plane = features.count / channels
            let added = Double(plane)
            let values = features.values.span
            let pictureMean = globalAveragePool(features)
            for channel in 0..<channels {
                var pictureSquares = 0.0
                for i in channel * plane..<(channel + 1) * plane {
                    let difference = Double(values[i]) - pictureMean[channel]
                    pictureSquares += difference * difference
                }
                let shift = pictureMean[channel] - mean[channel]
                mean[channel] += shift * added / (count + added)
                squares[channel] += pictureSquares + shift * shift * count * added / (count + added)
            }
            count += added
        }

        /// Means and population standard deviations of everything added.
        ///
        /// - Throws: Where nothing was added, or a feature was not finite.
        public func statistics() throws(CalibrationError) -> ChannelStatistics {
            guard count > 0 else { throw .noPictures }
            guard mean.allSatisfy(\.isFinite), squares.allSatisfy(\.isFinite) else {
                throw .notFinite("a feature of the teacher")
            }
            return ChannelStatistics(
                mean: mean.map { Float($0) }, deviation: squares.map { Float(($0 / count).squareRoot()) })
        }
    }
}
