import Foundation
import Testing

@testable import Experiments

@Suite struct PublishedResultsTests {
    /// The papers' own means (ALGORITHMS §6.2, §6.4), which a slip in one of the categories would miss. EfficientAD-S's 90.0
    /// is that of 85.7 and 94.2, before it is rounded.
    @Test(arguments: [
        (PublishedDataset.loco, "EfficientAD-S, its paper", 89.95), (.loco, "EfficientAD-S, PUAD's code", 89.22),
        (.loco, "EfficientAD-M, its paper", 90.7), (.loco, "EfficientAD-M, PUAD's code", 90.99),
        (.loco, "PUAD-S, its code", 93.18), (.loco, "PUAD-M, its code", 94.44), (.loco, "DFSC, its paper", 92.0),
        (.loco, "LA-EAD-M, its paper without a word on how", 94.2),
        (.mvtec, "EfficientAD-S, PUAD's code", 98.80), (.mvtec, "PUAD-S, its code", 98.30),
        (.mvtec, "EfficientAD-M, PUAD's code", 99.12), (.mvtec, "PUAD-M, its code", 98.48),
        (.mvtec, "LA-EAD-M, its paper without a word on how", 98.4),
    ])
    func columnsHaveThePapersMeans(_ dataset: PublishedDataset, _ title: String, _ mean: Double) throws {
        let column = try #require((dataset.efficientAD + dataset.decisions).first { $0.title == title })
        #expect(column.values.count == dataset.categories.count)
        // Half of the last digit: papers give one, PUAD's code two.
        #expect(abs(column.mean - mean) < (title.hasSuffix("code") ? 0.0051 : 0.051))
    }

    @Test func oursStandsBesideThePublishedByItsProtocol() throws {
        let figures = try SampleFigures.figures()
        let text = ReproductionTables(
            dataset: .loco, models: [.puadSmall, .dfscSmall], iterations: 7,
            figures: ["pushpins": [.puadSmall: figures, .dfscSmall: figures]]
        ).text
        let lines = text.split(separator: "\n").map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let pushpins = lines.filter { $0.first == "pushpins" }
        // Upside down, as the picturable score is: by the mean of two, and pooled.
        #expect(pushpins[0] == ["pushpins", "12.50", "97.75", "12.50", "96.84"])
        #expect(pushpins[1] == ["pushpins", "87.50", "98.02", "87.50", "97.70"])
        #expect(lines.filter { $0.first == "mean" }[1] == ["mean", "87.50 (of 1)", "93.18", "87.50 (of 1)", "92.04"])
        #expect(text.contains("7 iterations"))
        #expect(!text.contains("LA-EAD"))
    }

    @Test func marginsAreThePapersForEachCategory() {
        #expect(
            PublishedDataset.loco.categories.map { PublishedDataset.loco.margin(of: $0) }
                == ["1", "0.4", "0.4", "2", "0.4"])
        #expect(PublishedDataset.mvtec.margin(of: "bottle") == nil)
    }
}
