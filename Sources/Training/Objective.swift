import ConvNets
import Imaging

/// What a training minimises (ALGORITHMS §3.1), with what may be chosen about it.
public enum Objective: Hashable, Sendable, Codable {
    /// `L_hard + L_AE + L_STAE`: EfficientAD, and PUAD, which differs only in what is measured afterwards.
    case efficientAD

    /// `L_hard + L_AE + L_STAE + 2·L_DFSC`: DFSC.
    ///
    /// - Parameters:
    ///   - margin: m, in `0...2`. The paper's best for the categories of MVTec LOCO AD: breakfast box 1, screw bag 2, the
    ///     others 0.4.
    ///   - mask: What the constraint looks at.
    case separated(margin: Float = 1, mask: FeatureSeparationConstraint.Mask = .element)

    /// `L_hard + L_AE + L_STAE + α·L_RDC`, and `L_TE` where the extractor is trained: LA-EAD.
    ///
    /// - Parameters:
    ///   - alpha: α, at least 0; the paper's best is 0.1.
    ///   - trainsExtractor: The extractor shares no weights with the others, so training it elsewhere gives the same.
    case aligned(alpha: Float = 0.1, trainsExtractor: Bool = true)
}

/// How an objective is pursued: the columns of ALGORITHMS §3.2 as values.
struct Recipe: Sendable {
    /// What an iteration consists of, in order.
    let lessons: [any Lesson]
    let optimizer: Adam.Configuration

    /// The last one in this many steps is small.
    let finalShare: Int
    let warmUp: UntunedWarmUp?
    let autoencoderDesign: Autoencoder.Design

    /// Whether a moving average of the student is kept beside it.
    let averagesStudent: Bool
    let trainsExtractor: Bool

    /// - Parameter penalty: Pictures that are not of the part; none leaves L_pen out.
    init(_ settings: TrainingSettings, penalty: [ModelImage] = []) {
        var optimizer = Adam.Configuration()
        optimizer.weightDecay = settings.weightDecay
        var lessons: [any Lesson]
        var warmUp: UntunedWarmUp?
        switch settings.objective {
        case .efficientAD:
            lessons = [TeacherImitation(), Reconstruction()]
            trainsExtractor = false
        case .aligned(let alpha, let trainsExtractor):
            lessons = [TeacherImitation(), Reconstruction(constraint: DifferenceTerm(weight: alpha))]
            if trainsExtractor { lessons.append(ContextImitation()) }
            self.trainsExtractor = trainsExtractor
        case .separated(let margin, let mask):
            let constraint = FeatureSeparationConstraint(margin: margin, mask: mask)
            lessons = [SharedView(constraint: SeparationTerm(constraint: constraint))]
            trainsExtractor = false
            optimizer.decay = .decoupled
            // Warm-up and optimiser share β₂ (D14).
            optimizer.squaredGradientDecay = 0.997
            warmUp = UntunedWarmUp(squaredGradientDecay: 0.997)
        }
        if !penalty.isEmpty { lessons.append(Penalty(images: penalty)) }
        self.lessons = lessons
        self.optimizer = optimizer
        self.warmUp = warmUp
        let isSeparated = warmUp != nil
        finalShare = isSeparated ? 10 : 20
        autoencoderDesign = isSeparated ? .instanceNormalised : .plain
        averagesStudent = isSeparated
    }
}
