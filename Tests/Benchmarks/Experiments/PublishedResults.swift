/// Image AUROC in percent as somebody published it (ALGORITHMS §6): what a column of `reproduce` stands beside.
struct PublishedColumn: Hashable, Sendable {
    /// Who says so.
    var title: String
    var model: ModelKind
    var protocolUsed: AUROCProtocol
    var values: [String: Double]

    /// Mean over the categories that were published.
    var mean: Double { values.values.reduce(0, +) / Double(values.count) }
}

/// What all anomalous pictures are compared by.
enum AUROCProtocol: String, Hashable, Sendable {
    /// All in one, as PUAD's code does, and everybody on MVTec AD.
    case pooled

    /// Mean of logical and structural, as MVTec LOCO AD's own evaluation does.
    case meanOfTwo = "mean of two"
}

/// A method and size as `--models` names it.
enum ModelKind: String, CaseIterable, Hashable, Sendable {
    case puadSmall = "puad-s"
    case puadMedium = "puad-m"
    case dfscSmall = "dfsc-s"
    case dfscMedium = "dfsc-m"
    case laEADSmall = "la-ead-s"
    case laEADMedium = "la-ead-m"

    var method: String { String(rawValue.dropLast(2)) }
    var size: String { String(rawValue.suffix(1)) }
}

/// The data sets of the papers, their categories in the order of the tables.
enum PublishedDataset: String, CaseIterable, Sendable {
    case loco
    case mvtec

    var title: String {
        switch self {
        case .loco: "MVTec LOCO AD"
        case .mvtec: "MVTec AD"
        }
    }

    var categories: [String] {
        switch self {
        case .loco: ["breakfast_box", "juice_bottle", "pushpins", "screw_bag", "splicing_connectors"]
        case .mvtec:
            [
                "bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw",
                "tile", "toothbrush", "transistor", "wood", "zipper",
            ]
        }
    }

    /// What the papers trained; the other models are trained where they are asked for.
    var models: [ModelKind] {
        switch self {
        case .loco: [.puadSmall, .puadMedium, .dfscSmall, .laEADMedium]
        case .mvtec: [.puadSmall, .puadMedium, .laEADMedium]
        }
    }

    /// DFSC's margin per category (Separating Novel Features, Table 3); the paper has none for MVTec AD.
    func margin(of category: String) -> String? {
        guard self == .loco else { return nil }
        return switch category {
        case "breakfast_box": "1"
        case "screw_bag": "2"
        default: "0.4"
        }
    }

    /// Published figures of EfficientAD, which is the picturable score of a PUAD model.
    var efficientAD: [PublishedColumn] {
        switch self {
        case .loco:
            [
                column("EfficientAD-S, its paper", .puadSmall, .meanOfTwo, [84.3, 98.25, 97.75, 73.75, 95.45]),
                column("EfficientAD-S, PUAD's code", .puadSmall, .pooled, [83.75, 97.90, 96.84, 71.28, 96.33]),
                column("EfficientAD-M, its paper", .puadMedium, .meanOfTwo, [86.95, 99.05, 96.9, 73.7, 97.0]),
                column("EfficientAD-M, PUAD's code", .puadMedium, .pooled, [85.66, 96.92, 96.83, 78.92, 96.61]),
            ]
        case .mvtec:
            [
                column(
                    "EfficientAD-S, PUAD's code", .puadSmall, .pooled,
                    [
                        100, 94.64, 98.17, 99.48, 99.25, 99.39, 100, 98.48, 98.50, 96.06, 100, 100, 98.83, 99.56, 99.63,
                    ]),
                column(
                    "EfficientAD-M, PUAD's code", .puadMedium, .pooled,
                    [
                        100, 97.25, 98.44, 99.44, 100, 99.61, 100, 99.02, 98.17, 97.36, 99.93, 100, 99.71, 99.47, 98.42,
                    ]),
            ]
        }
    }

    /// Published figures of what the methods decide by.
    var decisions: [PublishedColumn] {
        switch self {
        case .loco:
            [
                column("PUAD-S, its code", .puadSmall, .pooled, [87.07, 99.68, 98.02, 84.36, 96.76]),
                column("PUAD-M, its code", .puadMedium, .pooled, [90.45, 99.92, 97.36, 86.99, 97.49]),
                column("DFSC, its paper", .dfscSmall, .meanOfTwo, [84.95, 99.9, 97.7, 80.15, 97.5]),
                column(
                    "LA-EAD-M, its paper without a word on how", .laEADMedium, .pooled,
                    [88.4, 99.9, 98.8, 86.9, 97.1]),
            ]
        case .mvtec:
            [
                column(
                    "PUAD-S, its code", .puadSmall, .pooled,
                    [
                        99.76, 95.78, 98.17, 93.10, 99.33, 99.32, 100, 98.09, 98.52, 94.51, 99.74, 100, 98.88, 99.65,
                        99.68,
                    ]),
                column(
                    "PUAD-M, its code", .puadMedium, .pooled,
                    [
                        99.92, 97.77, 98.05, 95.22, 100, 99.57, 100, 98.48, 98.01, 92.64, 99.86, 100, 99.67, 99.12,
                        98.87,
                    ]),
                column(
                    "LA-EAD-M, its paper without a word on how", .laEADMedium, .pooled,
                    [99.9, 98.9, 97.1, 92.0, 99.7, 99.9, 100, 98.5, 98.0, 97.3, 98.7, 100, 99.9, 99.0, 97.5]),
            ]
        }
    }

    private func column(
        _ title: String, _ model: ModelKind, _ protocolUsed: AUROCProtocol, _ values: [Double]
    ) -> PublishedColumn {
        PublishedColumn(
            title: title, model: model, protocolUsed: protocolUsed,
            values: Dictionary(uniqueKeysWithValues: zip(categories, values)))
    }
}
