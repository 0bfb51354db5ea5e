import Testing

@testable import Experiments

@Suite struct ReportPlanTests {
    private let plan = ReportPlan(trays: "trays", bottle: "bottle", iterations: 1000, mediumIterations: 300)

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

    @Test func withoutBottleItsRowsAreLeftOut() {
        let plan = ReportPlan(trays: "trays", bottle: nil, iterations: 1000, mediumIterations: 300)
        #expect(plan.bottleSmall.isEmpty)
        #expect(plan.trials.allSatisfy { $0.dataset == "trays" })
    }
}
