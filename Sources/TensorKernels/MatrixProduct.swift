import COpenBLAS

/// A row-major matrix inside someone else's memory.
struct MatrixView<Pointer> {
    let base: Pointer

    /// Elements from one row to the next.
    let rowStride: Int
    var isTransposed = false
}

/// Matrix products by OpenBLAS, computed on the calling thread.
enum MatrixProduct {
    /// Chooses the CPU's kernels and leaves OpenBLAS's own threads idle: whoever multiplies is already one of several.
    ///
    /// To be read before the first product; an engine does so when it is made.
    static let prepared: Void = {
        beltwatch_openblas_choose_kernels()
        openblas_set_num_threads(1)
    }()

    /// `c ← a·b + keep·c`, where `a` is `rows × inner` and `b` is `inner × columns` after their transposition.
    static func multiply(
        _ a: MatrixView<UnsafePointer<Float>>, _ b: MatrixView<UnsafePointer<Float>>, rows: Int, columns: Int,
        inner: Int, keeping keep: Float = 0, into c: MatrixView<UnsafeMutablePointer<Float>>
    ) {
        _ = prepared
        cblas_sgemm(
            CblasRowMajor, a.isTransposed ? CblasTrans : CblasNoTrans, b.isTransposed ? CblasTrans : CblasNoTrans,
            Int32(rows), Int32(columns), Int32(inner), 1, a.base, Int32(a.rowStride), b.base, Int32(b.rowStride), keep,
            c.base, Int32(c.rowStride))
    }

    /// `a·b`, where `a` is `rows × inner` and `b` is `inner × columns`, row by row; for preparations.
    static func product(_ a: [Double], _ b: [Double], rows: Int, columns: Int, inner: Int) -> [Double] {
        _ = prepared
        return Array(unsafeUninitializedCapacity: rows * columns) { c, count in
            cblas_dgemm(
                CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(rows), Int32(columns), Int32(inner), 1, a,
                Int32(inner), b, Int32(columns), 0, c.baseAddress, Int32(columns))
            count = rows * columns
        }
    }
}
