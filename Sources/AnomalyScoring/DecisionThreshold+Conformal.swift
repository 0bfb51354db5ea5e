import Glibc

extension DecisionThreshold {
    /// Split-conformal threshold: the k-th smallest score, `k = ⌈(n + 1)(1 − α)⌉` (ALGORITHMS §4.4, T1).
    ///
    /// A part that is exchangeable with the calibration parts exceeds it with probability α at most.
    ///
    /// - Parameters:
    ///   - scores: Fused scores of good parts that nothing was trained on.
    ///   - falseRejectBudget: α, above 0 and below 1.
    /// - Throws: `budgetTooSmall` where k > n: with so few parts no finite threshold keeps the budget.
    public static func conformal(
        scores: [Double], falseRejectBudget: Double
    ) throws(CalibrationError) -> DecisionThreshold {
        precondition(falseRejectBudget > 0 && falseRejectBudget < 1, "a budget lies between 0 and 1")
        guard !scores.isEmpty else { throw .noPictures }
        guard scores.allSatisfy(\.isFinite) else { throw .notFinite("a fused score") }
        let rank = conformalRank(of: scores.count, falseRejectBudget: falseRejectBudget)
        guard rank <= scores.count else { throw .budgetTooSmall(falseRejectBudget, scoreCount: scores.count) }
        return DecisionThreshold(
            value: scores.sorted()[rank - 1], calibrationCount: scores.count, falseRejectBudget: falseRejectBudget)
    }

    /// α = 0.01 where n good parts can promise it (n ≥ 99), else the smallest they can, 1/(n + 1) (DESIGN §4).
    public static func defaultBudget(calibrationCount: Int) -> Double {
        calibrationCount >= 99 ? 0.01 : 1 / Double(calibrationCount + 1)
    }

    /// k = ⌈(n + 1)(1 − α)⌉; above n there is no finite threshold.
    static func conformalRank(of count: Int, falseRejectBudget: Double) -> Int {
        // The product is a whole number for the budgets people ask for; its rounding error must not add a rank.
        let exact = Double(count + 1) * (1 - falseRejectBudget)
        return Int((exact - 1e-9 * exact).rounded(.up))
    }
}

/// What a number of events in a number of trials says about their probability.
public enum ClopperPearson {
    /// The probability that is exceeded only with 5 % confidence: one-sided upper 95 % bound.
    ///
    /// 0 events in 60 trials give 0.0487 (ALGORITHMS §4.4).
    public static func upperBound(count: Int, trials: Int, confidence: Double = 0.95) -> Double {
        precondition(trials > 0 && (0...trials).contains(count), "\(count) events in \(trials) trials")
        guard count < trials else { return 1 }
        return bisect { binomialCumulative(count, trials: trials, probability: $0) - (1 - confidence) }
    }

    /// The probability that is fallen short of only with 5 % confidence: one-sided lower 95 % bound.
    public static func lowerBound(count: Int, trials: Int, confidence: Double = 0.95) -> Double {
        1 - upperBound(count: trials - count, trials: trials, confidence: confidence)
    }

    /// Lower and upper bound that hold together, with half of the doubt on either side.
    public static func interval(count: Int, trials: Int, confidence: Double = 0.95) -> ClosedRange<Double> {
        let each = (1 + confidence) / 2
        return lowerBound(
            count: count, trials: trials, confidence: each)...upperBound(
                count: count, trials: trials, confidence: each)
    }

    /// The zero of a function that falls from positive to negative on 0…1.
    private static func bisect(_ function: (Double) -> Double) -> Double {
        var (low, high) = (0.0, 1.0)
        while true {
            let middle = (low + high) / 2
            guard middle > low, middle < high else { return middle }
            if function(middle) > 0 { low = middle } else { high = middle }
        }
    }

    /// P(X ≤ events) of a binomial distribution.
    private static func binomialCumulative(_ events: Int, trials: Int, probability: Double) -> Double {
        // Each term from the one before, in logarithms: (1 − p)ⁿ alone vanishes for large n.
        var logTerm = Double(trials) * log1p(-probability)
        var sum = 0.0
        for k in 0...events {
            sum += exp(logTerm)
            logTerm += log(Double(trials - k)) - log(Double(k + 1)) + log(probability) - log1p(-probability)
        }
        return min(sum, 1)
    }
}
