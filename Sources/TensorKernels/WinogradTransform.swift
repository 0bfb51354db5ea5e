/// The three matrices of a fast convolution F(m×m, k×k): m outputs of a k-tap filter with n = m + k − 1 products instead
/// of m·k in one dimension, (m + k − 1)² instead of m²·k² in two.
///
/// Cook–Toom, in Winograd's form (Winograd 1980; Lavin & Gray 2016, arXiv:1509.09308). A filter `g` and `m` numbers are
/// polynomials of degree k − 1 and m − 1. Their product, of degree n − 1, is known from its values at n points, one of
/// them ∞, whose value is the leading coefficient; each value is the product of two values. With Lagrange's polynomials
/// `Lⱼ(x) = Πₗ≠ⱼ (x − pₗ) / (pⱼ − pₗ)` and `N(x) = Πₗ (x − pₗ)` over the finite points,
///
/// `g(x)·h(x) = Σⱼ g(pⱼ)·h(pⱼ)·Lⱼ(x) + g(∞)·h(∞)·N(x)`, or `g ∗ h = C · [(G g) ⊙ (A h)]`.
///
/// The correlation of a filter with data is the transpose of that with respect to `h`:
///
/// `y = Aᵀ [(G g) ⊙ (Bᵀ d)]`, `Bᵀ = Cᵀ`, with `A[j, i] = pⱼⁱ`, `G[j, i] = pⱼⁱ / Πₗ≠ⱼ (pⱼ − pₗ)` and `Bᵀ[j]` the
/// coefficients of `Πₗ≠ⱼ (x − pₗ)`; for ∞, `A` and `G` pick the last coefficient and `Bᵀ` holds those of N.
///
/// In two dimensions each matrix is applied to rows and columns: `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`. The gradients are
/// exact transposes of it with the same three matrices: `∂L/∂g = Gᵀ [Σ (Bᵀ d B) ⊙ (A ∂L/∂Y Aᵀ)] G`.
///
/// The points are 0, ±1, ±½, ±2 and ∞: of seventeen symmetric sets tried with 256 channels, the one with the smallest
/// error for both kernels, 2.0e-6 (k = 3) and 1.7e-6 (k = 4) relative rms, where ±⅔ and ±3/2 have twice as much. `A`
/// and `Bᵀ` are exact in `Float`.
struct WinogradTransform: Sendable {
    /// n, the points along one axis: the side of the tiles of data. The same for all kernels, so that they share `Bᵀ`.
    static let pointsPerAxis = 8

    /// n², the products of a tile.
    static let points = pointsPerAxis * pointsPerAxis

    /// The finite points.
    ///
    /// Zero first, then pairs of opposite points: their rows differ in the sign of the odd columns only, which the
    /// vector kernels make use of.
    static let finitePoints: [Double] = [0, 1, -1, 0.5, -0.5, 2, -2]

    /// k, 3 or 4.
    let kernelSide: Int

    /// m, the side of a tile of the output.
    let tileSide: Int

    /// An n × columns matrix.
    struct Matrix: Sendable {
        let columns: Int

        /// Row-major, n values per row, zeros behind the columns.
        let values: [Float]

        /// The same without rounding.
        let rows: [[Double]]

        fileprivate init(_ rows: [[Double]]) {
            self.rows = rows
            columns = rows[0].count
            values = rows.flatMap { row in
                (0..<WinogradTransform.pointsPerAxis).map { $0 < row.count ? Float(row[$0]) : 0 }
            }
        }
    }

    /// Bᵀ, n × n.
    let data: Matrix

    /// G, n × k.
    let kernel: Matrix

    /// A, n × m.
    let output: Matrix

    init(kernelSide: Int) {
        self.kernelSide = kernelSide
        tileSide = Self.pointsPerAxis + 1 - kernelSide
        let points = Self.finitePoints
        let others = points.indices.map { j in points.indices.filter { $0 != j }.map { points[$0] } }
        data = Matrix(others.map { Self.coefficients(roots: $0) + [0] } + [Self.coefficients(roots: points)])
        kernel = Matrix(
            Self.powers(of: points, count: kernelSide) { j in 1 / others[j].reduce(1) { $0 * (points[j] - $1) } })
        output = Matrix(Self.powers(of: points, count: tileSide) { _ in 1 })
    }

    /// The coefficients of Π (x − root), lowest first.
    private static func coefficients(roots: [Double]) -> [Double] {
        roots.reduce([1]) { polynomial, root in
            let timesX = [0] + polynomial
            let timesRoot = polynomial.map { $0 * root } + [0]
            return zip(timesX, timesRoot).map { $0 - $1 }
        }
    }

    /// The rows `[1, p, p², …]·scale(j)` of the finite points and the last one for ∞.
    private static func powers(of points: [Double], count: Int, scale: (_ j: Int) -> Double) -> [[Double]] {
        let finite = points.indices.map { j in
            (0..<count).map { i in (0..<i).reduce(scale(j)) { power, _ in power * points[j] } }
        }
        return finite + [Array(repeating: 0, count: count - 1) + [1]]
    }
}
