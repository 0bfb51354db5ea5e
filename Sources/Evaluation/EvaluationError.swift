/// Why scores cannot be evaluated.
public enum EvaluationError: Error, Hashable, Sendable, CustomStringConvertible {
    case noGoodImages
    case noAnomalousImages
    case scoreIsNotANumber

    public var description: String {
        switch self {
        case .noGoodImages: "there are no scores of good parts; an evaluation needs 'test/good'"
        case .noAnomalousImages: "there are no scores of anomalous parts; an evaluation needs 'test/<defect>'"
        case .scoreIsNotANumber: "a score is NaN, so the pictures cannot be put in order; check the model"
        }
    }
}
