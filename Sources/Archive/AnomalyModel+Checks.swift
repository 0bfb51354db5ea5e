import AnomalyScoring
import ConvNets

extension AnomalyModel {
    /// Checks every value that scoring divides by, takes the root of or compares with, in memory as after loading.
    ///
    /// Names and shapes of network parameters are not looked at here.
    func checkValues() throws(ModelCheck) {
        guard (extractor != nil) == (featureSource == .contextExtractor) else {
            throw .range(
                of: "feature source", found: featureSource.rawValue,
                expected: extractor == nil ? "one without an extractor" : "the extractor that the model has")
        }
        let networks = [("teacher", teacher), ("student", student), ("autoencoder", autoencoder)]
        for (network, parameters) in networks + (extractor.map { [("extractor", $0)] } ?? []) {
            for index in 0..<parameters.count {
                let name = "\(network).\(parameters.names[index])"
                guard parameters[index].values.allSatisfy(\.isFinite) else { throw .finiteness(of: name) }
            }
        }
        try checkStatistics()
        try checkGaussian()
        try checkFusion()
        try checkSettings()
    }

    private func checkStatistics() throws(ModelCheck) {
        let features = NetworkArchitecture.featureCount
        for (name, values) in [
            ("channels.mean", teacherStatistics.mean), ("channels.deviation", teacherStatistics.deviation),
        ] {
            guard values.count == features else {
                throw .shape(tensor: name, found: [values.count], expected: [features])
            }
            guard values.allSatisfy(\.isFinite) else { throw .finiteness(of: name) }
        }
        // Zero marks a dead channel and is never divided by.
        guard teacherStatistics.deviation.allSatisfy({ $0 >= 0 }) else { throw .spread(of: "channels.deviation") }
        for (name, range) in [
            ("student-teacher", mapQuantiles.studentTeacher), ("autoencoder-student", mapQuantiles.autoencoderStudent),
        ] {
            guard range.lower.isFinite, range.upper.isFinite else { throw .finiteness(of: "\(name) quantiles") }
            guard range.lower < range.upper else { throw .quantileOrder(map: name) }
        }
    }

    private func checkGaussian() throws(ModelCheck) {
        let features = NetworkArchitecture.featureCount
        let factor = featureGaussian.choleskyFactor
        guard featureGaussian.mean.count == features else {
            throw .shape(tensor: "gaussian.mean", found: [featureGaussian.mean.count], expected: [features])
        }
        guard factor.count == features * features else {
            throw .shape(tensor: "gaussian.cholesky", found: [factor.count], expected: [features, features])
        }
        guard featureGaussian.mean.allSatisfy(\.isFinite) else { throw .finiteness(of: "gaussian.mean") }
        guard factor.allSatisfy(\.isFinite) else { throw .finiteness(of: "gaussian.cholesky") }
        for row in 0..<features {
            guard factor[row * features + row] > 0 else { throw .spread(of: "diagonal of gaussian.cholesky") }
            for column in row + 1..<features where factor[row * features + column] != 0 {
                throw .triangularity(row: row, column: column)
            }
        }
        try check("shrinkage", featureGaussian.shrinkage, isIn: 0...1)
    }

    private func checkFusion() throws(ModelCheck) {
        for (branch, statistics) in [(Branch.picturable, fusion.picturable), (.unpicturable, fusion.unpicturable)] {
            guard statistics.mean.isFinite, statistics.deviation.isFinite else {
                throw .finiteness(of: "z-statistics of the \(branch.rawValue) branch")
            }
            guard statistics.deviation > 0 else { throw .spread(of: "deviation of the \(branch.rawValue) branch") }
        }
        let threshold = fusion.threshold
        guard threshold.value.isFinite else { throw .finiteness(of: "threshold") }
        try check("calibration count", threshold.calibrationCount, isIn: 1...Int.max)
        let budget = threshold.falseRejectBudget
        guard budget > 0, budget < 1 else {
            throw .range(of: "false-reject budget", found: "\(budget)", expected: "between 0 and 1")
        }
        guard selfTest.picturableZ.isFinite, selfTest.unpicturableZ.isFinite else {
            throw .finiteness(of: "self_test.scores")
        }
    }

    private func checkSettings() throws(ModelCheck) {
        try check("score resolution", mapOptions.scoreResolution, isIn: 1...4096)
        if let region = preprocessing.region {
            let coordinates = 0...Int(Int32.max)
            try check("region x", region.x, isIn: coordinates)
            try check("region y", region.y, isIn: coordinates)
            try check("region width", region.width, isIn: 1...Int(Int32.max))
            try check("region height", region.height, isIn: 1...Int(Int32.max))
        }
        guard trainingRecord.finalLoss.isFinite else { throw .finiteness(of: "final loss") }
        let recipe = trainingRecord.recipe
        for (name, value) in [
            ("difference weight", recipe.differenceWeight), ("separation margin", recipe.separationMargin),
            ("student momentum", recipe.studentMomentum),
        ] where value.map(\.isFinite) == false { throw .finiteness(of: name) }
    }

    private func check<Value: Comparable>(
        _ name: String, _ value: Value, isIn range: ClosedRange<Value>
    ) throws(ModelCheck) {
        guard range.contains(value) else { throw .range(of: name, found: "\(value)", expected: "in \(range)") }
    }
}
