/// Where the pooled features of good parts lie: a Gaussian with Ledoit-Wolf covariance (ALGORITHMS §4.2).
public struct FeatureGaussian: Hashable, Sendable {
    /// μ, one value per feature.
    public var mean: [Double]

    /// Lower Cholesky factor L of Σ = L·Lᵀ, row-major, `mean.count²` values, zeros above the diagonal.
    public var choleskyFactor: [Double]

    /// ρ, how far the sample covariance was pulled towards a multiple of the identity, in 0…1.
    public var shrinkage: Double

    public init(mean: [Double], choleskyFactor: [Double], shrinkage: Double) {
        self.mean = mean
        self.choleskyFactor = choleskyFactor
        self.shrinkage = shrinkage
    }

    /// Fits the Gaussian to one feature vector per good part.
    ///
    /// - Throws: `CalibrationError` where there are no vectors, one is not finite, or all are equal.
    public init(fitting features: [[Double]]) throws(CalibrationError) {
        guard let dimensions = features.first?.count else { throw .noPictures }
        precondition(features.allSatisfy { $0.count == dimensions }, "feature vectors of different lengths")
        guard features.allSatisfy({ $0.allSatisfy(\.isFinite) }) else { throw .notFinite("a pooled feature") }
        // Compared, not measured: the mean of equal numbers may differ from them by a rounding error.
        guard features.contains(where: { $0 != features[0] }) else {
            throw .noFeatureSpread(pictureCount: features.count)
        }
        let covariance = LedoitWolfCovariance(of: features)
        guard
            let factor = lowerFactor(of: covariance.values, size: dimensions)
                // ρ = 0 and a singular sample covariance: D20's ridge.
                ?? lowerFactor(of: covariance.ridged(by: 1e-6), size: dimensions)
        else { throw .noFeatureSpread(pictureCount: features.count) }
        mean = covariance.mean
        choleskyFactor = factor
        shrinkage = covariance.shrinkage
    }

    /// Mahalanobis distance `√((f − μ)ᵀ Σ⁻¹ (f − μ))` (PUAD Eq. 2).
    ///
    /// With `L·y = f − μ` it is the length of y: one forward substitution, no inverse.
    public func distance(of feature: [Double]) -> Double {
        precondition(feature.count == mean.count, "\(feature.count) features for a Gaussian of \(mean.count)")
        let size = mean.count
        var solution = [Double](repeating: 0, count: size)
        var sum = 0.0
        let factor = choleskyFactor.span
        for row in 0..<size {
            var rest = feature[row] - mean[row]
            for column in 0..<row { rest -= factor[row * size + column] * solution[column] }
            solution[row] = rest / factor[row * size + row]
            sum += solution[row] * solution[row]
        }
        return sum.squareRoot()
    }
}

/// Σ = (1 − ρ)·S + ρ·m·I, the shrinkage of Ledoit & Wolf 2004 with scikit-learn's conventions.
///
/// With centred rows X, n of them, p columns: `S = XᵀX/n`, `m = tr(S)/p`,
/// `β' = (Σ_rows(Σ_i x_i²)²/n − ‖S‖²)/(p·n)`, `δ = (‖S‖² − 2m·tr(S) + p·m²)/p`, `β = min(β', δ)`, `ρ = β/δ`.
/// There are fewer good parts than features, so S alone is singular and every training part equally far away.
struct LedoitWolfCovariance {
    let mean: [Double]

    /// Σ, row-major.
    let values: [Double]
    let shrinkage: Double

    /// m = tr(S)/p, the mean variance.
    private let meanVariance: Double

    init(of rows: [[Double]]) {
        let (count, size) = (rows.count, rows[0].count)
        var mean = [Double](repeating: 0, count: size)
        for row in rows { for i in 0..<size { mean[i] += row[i] } }
        for i in 0..<size { mean[i] /= Double(count) }
        var sample = [Double](repeating: 0, count: size * size)
        var fourthPowers = 0.0
        var centred = [Double](repeating: 0, count: size)
        for row in rows {
            for i in 0..<size { centred[i] = row[i] - mean[i] }
            let squaredLength = centred.reduce(0) { $0 + $1 * $1 }
            fourthPowers += squaredLength * squaredLength
            for i in 0..<size { for j in 0...i { sample[i * size + j] += centred[i] * centred[j] } }
        }
        for i in 0..<size {
            for j in 0...i {
                sample[i * size + j] /= Double(count)
                sample[j * size + i] = sample[i * size + j]
            }
        }

        let trace = (0..<size).reduce(0.0) { $0 + sample[$1 * size + $1] }
        let squaredNorm = sample.reduce(0) { $0 + $1 * $1 }
        let meanVariance = trace / Double(size)
        let spread =
            (squaredNorm - 2 * meanVariance * trace + Double(size) * meanVariance * meanVariance) / Double(size)
        let error = min((fourthPowers / Double(count) - squaredNorm) / (Double(size) * Double(count)), spread)
        let shrinkage = error > 0 ? error / spread : 0
        for i in sample.indices { sample[i] *= 1 - shrinkage }
        for i in 0..<size { sample[i * size + i] += shrinkage * meanVariance }
        self.mean = mean
        values = sample
        self.shrinkage = shrinkage
        self.meanVariance = meanVariance
    }

    /// Σ with `share` of the mean variance added to the diagonal.
    func ridged(by share: Double) -> [Double] {
        var ridged = values
        for i in mean.indices { ridged[i * mean.count + i] += share * meanVariance }
        return ridged
    }
}

/// The lower factor L of `matrix = L·Lᵀ`, or nil where the matrix is not positive definite.
///
/// - Parameter matrix: Symmetric, row-major, `size²` values.
func lowerFactor(of matrix: [Double], size: Int) -> [Double]? {
    var factor = [Double](repeating: 0, count: size * size)
    for row in 0..<size {
        for column in 0...row {
            var rest = matrix[row * size + column]
            for k in 0..<column { rest -= factor[row * size + k] * factor[column * size + k] }
            if row == column {
                // Rounding leaves a singular matrix a pivot of some 10⁻¹⁶ of its diagonal.
                guard rest > 1e-12 * matrix[row * size + row] else { return nil }
                factor[row * size + row] = rest.squareRoot()
            } else {
                factor[row * size + column] = rest / factor[column * size + column]
            }
        }
    }
    return factor
}
