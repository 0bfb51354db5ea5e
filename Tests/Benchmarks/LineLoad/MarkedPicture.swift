import AnomalyScoring
import Glibc
import Imaging
import InspectionRuntime
import TensorKernels

/// A picture of two greys, small so that preprocessing is not the subject; a bad part has a bright upper left quarter.
enum MarkedPicture {
    static let width = 64
    static let height = 48

    static func pixels(isBad: Bool) -> PixelBuffer {
        PixelBuffer(count: width * height * 3) { span in
            for y in 0..<height {
                for x in 0..<width {
                    let isMarked = isBad && x < width / 2 && y < height / 2
                    for channel in 0..<3 {
                        span[(y * width + x) * 3 + channel] = isMarked ? 230 : y < height / 2 ? 60 : 110
                    }
                }
            }
        }
    }
}

/// Stands in for the networks: sees the mark, and takes no time, or just as much as it is told.
struct MarkedPartScorer: PartScorer {
    /// Scores are z-scores; a mark has 2 and its absence 0.
    static let fusion = ScoreFusion(
        picturable: ZStatistics(mean: 0, deviation: 1), unpicturable: ZStatistics(mean: 0, deviation: 1),
        threshold: DecisionThreshold(value: 1, calibrationCount: 99, falseRejectBudget: 0.01))

    /// How long a part takes: computing, since networks leave the processor to nobody.
    let duration: Duration
    private let clock = SystemMonotonicClock()
    private let good = Tensor(shape: [1, ModelImage.side, ModelImage.side])
    private let bad: Tensor

    init(duration: Duration) {
        self.duration = duration
        var map = Tensor(shape: [1, ModelImage.side, ModelImage.side])
        for y in 0..<ModelImage.side / 2 {
            for x in 0..<ModelImage.side / 2 { map.values[y * ModelImage.side + x] = 2 }
        }
        bad = map
    }

    func score(_ image: Tensor) -> RawScores {
        if duration > .zero {
            let end = clock.now.advanced(by: duration)
            while clock.now < end {}
        }
        // In the middle of the quarter; normalised, the greys are below 0 and the mark far above.
        let isMarked = image.values[ModelImage.side / 4 * ModelImage.side + ModelImage.side / 4] > 0
        return RawScores(picturable: isMarked ? 2 : 0, unpicturable: 0, map: isMarked ? bad : good)
    }
}
