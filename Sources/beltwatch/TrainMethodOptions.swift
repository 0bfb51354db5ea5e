import AnomalyScoring
import ArgumentParser
import ConvNets
import Training

/// What may be chosen about a method; every option belongs to some methods and is refused with the others.
struct TrainMethodOptions: ParsableArguments {
    @Option(help: "la-ead: weight of the reconstruction difference constraint; 0 leaves it out. (default: 0.1)")
    var alpha: Float?

    @Option(
        help: ArgumentHelp(
            "dfsc: how far apart autoencoder and teacher shall be, 0 to 2; 0 leaves the constraint out. (default: 1)",
            discussion: "Best on MVTec LOCO AD: breakfast_box 1, screw_bag 2, the others 0.4."))
    var margin: Float?

    @Option(help: "dfsc: what the constraint looks at, element or location. (default: element)")
    var separationMask: FeatureSeparationConstraint.Mask?

    @Flag(inversion: .prefixedNo, help: "Bring each map to 0…1 before both are combined. (default: dfsc alone)")
    var sigmoid: Bool?

    @Flag(
        inversion: .prefixedNo,
        help: "dfsc: score with the student's moving average, which a checkpoint holds beside it. (default: yes)")
    var ema: Bool?

    @Option(
        help: ArgumentHelp(
            "puad, la-ead: what the unpicturable score looks at, student, teacher or la-ead's extractor.",
            valueName: "network"))
    var featureSource: FeatureSource?

    @Option(
        help: ArgumentHelp(
            "la-ead: take the extractor of this model of the same pictures instead of training one.",
            valueName: "model"))
    var extractor: String?

    @Option(
        help: ArgumentHelp(
            "Pictures of anything but the part, such as ImageNet's, which the student shall not describe.",
            valueName: "folder"))
    var penaltyImages: String?

    /// - Throws: `ValidationError` naming the option that `method` does not have, or a value that makes no sense.
    func validate(for method: AnomalyScoring.Method) throws {
        func only(_ methods: Set<AnomalyScoring.Method>, _ option: String, given: Bool) throws {
            guard !given || methods.contains(method) else {
                let names = methods.map(\.rawValue).sorted().joined(separator: " and ")
                throw ValidationError("\(option) belongs to \(names); --method \(method.rawValue) has no use for it")
            }
        }
        try only([.laEAD], "--alpha", given: alpha != nil)
        try only([.dfsc], "--margin", given: margin != nil)
        try only([.dfsc], "--separation-mask", given: separationMask != nil)
        try only([.dfsc], "--ema", given: ema != nil)
        try only([.puad, .laEAD], "--feature-source", given: featureSource != nil)
        try only([.laEAD], "--feature-source extractor", given: featureSource == .contextExtractor)
        try only([.laEAD], "--extractor", given: extractor != nil)
        if let alpha, !(alpha >= 0 && alpha.isFinite) {
            throw ValidationError("--alpha must be a number from 0 on, not \(alpha)")
        }
        if let margin, !(0...2).contains(margin) {
            throw ValidationError("--margin must lie between 0 and 2, not \(margin)")
        }
        if extractor != nil, featureSource(of: method) != .contextExtractor {
            throw ValidationError("--extractor has no use where --feature-source is not extractor")
        }
    }

    func featureSource(of method: AnomalyScoring.Method) -> FeatureSource { featureSource ?? method.featureSource }

    func objective(of method: AnomalyScoring.Method) -> Objective {
        switch method {
        case .efficientAD, .puad: .efficientAD
        case .dfsc: .separated(margin: margin ?? 1, mask: separationMask ?? .element)
        case .laEAD:
            .aligned(
                alpha: alpha ?? 0.1,
                trainsExtractor: featureSource(of: method) == .contextExtractor && extractor == nil)
        }
    }

    func mapOptions(of method: AnomalyScoring.Method) -> MapOptions {
        var options = method.mapOptions
        if let sigmoid { options.logistic = sigmoid }
        return options
    }
}

extension AnomalyScoring.Method: ExpressibleByArgument {}
extension FeatureSource: ExpressibleByArgument {}
extension FeatureSeparationConstraint.Mask: ExpressibleByArgument {}
