/// Why scores or maps cannot be evaluated.
public enum EvaluationError: Error, Hashable, Sendable, CustomStringConvertible {
    case noGoodImages
    case noAnomalousImages
    case scoreIsNotANumber
    case mapIsNotANumber

    /// The masks cover all that there is, so no false-positive rate exists.
    case noDefectFreePixels

    /// More than 2³² − 1, where the counters end.
    case tooManyPixels

    public var description: String {
        switch self {
        case .noGoodImages: "there are no scores of good parts; an evaluation needs 'test/good'"
        case .noAnomalousImages: "there are no scores of anomalous parts; an evaluation needs 'test/<defect>'"
        case .scoreIsNotANumber: "a score is NaN, so the pictures cannot be put in order; check the model"
        case .mapIsNotANumber: "an anomaly map has a NaN, so its pixels cannot be put in order; check the model"
        case .noDefectFreePixels: "the masks cover every pixel of every picture; check 'ground_truth'"
        case .tooManyPixels:
            "the test pictures have more than 4,294,967,295 pixels together; evaluate fewer pictures at a time"
        }
    }
}
