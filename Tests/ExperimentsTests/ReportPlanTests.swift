import Foundation
import Testing

@testable import Experiments

@Suite struct ReportPlanTests {
    private let plan = ReportPlan(
        trays: "trays", bottle: "bottle", iterations: 1000, mediumIterations: 300, bottleIterations: 1000)

    @Test func everyMethodAndSizeIsTrainedAndEveryNameIsOneTrial() {
        let trials = plan.trials
        #expect(Set(trials.map(\.name)).count == trials.count)
        for (dataset, size) in [("trays", "s"), ("trays", "m"), ("bottle", "s")] {
            let methods = trials.filter { $0.dataset == dataset && $0.size == size }.map(\.method)
            #expect(Set(methods) == ["puad", "dfsc", "la-ead"])
        }
    }

    @Test func whatATrialNeedsComesBeforeIt() {
        var before: Set<String> = []
        for trial in plan.trials {
            #expect(trial.needs.isSubset(of: before), "\(trial.name)")
            before.insert(trial.name)
        }
    }

    /// Of the models whose features are the extractor's, one for each set of pictures trains it.
    @Test func theExtractorIsTrainedOnceForEachSetOfPictures() {
        let training = plan.trials.filter {
            $0.method == "la-ead" && $0.extractorFrom == nil && $0.networksFrom == nil
        }
        #expect(training.map(\.name) == ["trays-s/la-ead", "bottle-s/la-ead"])
    }

    @Test func theReportSaysWhatIsThereAndNamesWhatIsMissing() throws {
        let outcome = TrialOutcome(
            record: TrialRecord(options: [], processorSeconds: 600, peakMemoryBytes: 1 << 30),
            figures: try SampleFigures.figures())
        let text = ReportTables(plan: plan, outcomes: ["trays-s/puad": outcome]).text
        let lines = text.split(separator: "\n").map { line in
            line.split(separator: "|", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let methods = lines.filter { $0.count > 2 && $0[1] == "trays, S" }
        #expect(methods.map { $0[2] } == ["EfficientAD", "PUAD", "DFSC", "LA-EAD"])
        // The picturable score is upside down.
        #expect(methods[0][4...6].map { $0.prefix(7) } == ["0.250 (", "0.000 (", "0.125 ("])
        #expect(methods[1][4...6].map { $0.prefix(7) } == ["0.750 (", "1.000 (", "0.875 ("])
        #expect(methods[1][8...9] == ["10 min", "1.00 GiB"])
        #expect(methods[2][4...9].joined().isEmpty)
        #expect(text.contains("trays: 2 good, 2 logical_anomalies, 2 structural_anomalies."))
        #expect(text.contains("Not finished: trays-s/dfsc, "))
        #expect(!text.contains("Not finished: trays-s/puad"))
    }

    @Test func withoutBottleItsRowsAreLeftOut() {
        let plan = ReportPlan(
            trays: "trays", bottle: nil, iterations: 1000, mediumIterations: 300, bottleIterations: 1000)
        #expect(plan.bottleSmall.isEmpty)
        #expect(plan.trials.allSatisfy { $0.dataset == "trays" })
    }
}
