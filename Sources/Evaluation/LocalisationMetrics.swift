/// How well anomaly maps show where the defects are.
public struct LocalisationMetrics: Hashable, Sendable {
    /// Defective pixels against defect-free ones of the same pictures and the good ones (ALGORITHMS §5.3).
    public var pixelAUROC: DefectBreakdown<Double>

    /// AUPRO up to a false-positive rate of 0.3 (ALGORITHMS §5.4); nil in MVTec LOCO AD.
    public var regionOverlap: DefectBreakdown<Double>?

    /// AU-sPRO up to a false-positive rate of 0.05 (ALGORITHMS §5.5), never pooled; nil in MVTec AD.
    public var saturatedOverlap: DefectBreakdown<Double>?

    public init(
        pixelAUROC: DefectBreakdown<Double>, regionOverlap: DefectBreakdown<Double>?,
        saturatedOverlap: DefectBreakdown<Double>?
    ) {
        self.pixelAUROC = pixelAUROC
        self.regionOverlap = regionOverlap
        self.saturatedOverlap = saturatedOverlap
    }
}

/// In JSON the figures stand beside the others of a report, each under the name that papers use; all null without masks.
extension LocalisationMetrics {
    private enum CodingKeys: String, CodingKey {
        case pixelAUROC = "pixel_AUROC"
        case regionOverlap = "AUPRO@0.3"
        case saturatedOverlap = "sPRO@0.05"
    }

    static func encode(_ metrics: LocalisationMetrics?, to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(metrics?.pixelAUROC, forKey: .pixelAUROC)
        try container.encode(metrics?.regionOverlap, forKey: .regionOverlap)
        try container.encode(metrics?.saturatedOverlap, forKey: .saturatedOverlap)
    }

    static func ifPresent(in decoder: any Decoder) throws -> LocalisationMetrics? {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        func figure(_ key: CodingKeys) throws -> DefectBreakdown<Double>? {
            try container.decodeIfPresent(DefectBreakdown<Double>.self, forKey: key)
        }
        guard let pixelAUROC = try figure(.pixelAUROC) else { return nil }
        return LocalisationMetrics(
            pixelAUROC: pixelAUROC, regionOverlap: try figure(.regionOverlap),
            saturatedOverlap: try figure(.saturatedOverlap))
    }
}
