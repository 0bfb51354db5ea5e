import COpenBLAS

/// What this machine computes with.
public enum AvailableKernels {
    /// Of the instruction sets that the hot loops exist for, those that the CPU and its operating system can run:
    /// "baseline", "AVX2", "AVX-512".
    ///
    /// Each includes the ones before it, and the last one is used.
    public static let instructionSets = InstructionSet.available.map { VectorKernels($0).name }

    /// What OpenBLAS calls the kernels that it chose for this CPU, such as "Haswell"; nil where it does not say.
    ///
    /// The hot loops leave little to it: strided and small layers of a training.
    public static let openBLAS: String? = {
        _ = MatrixProduct.prepared
        return openblas_get_corename().map { String(cString: $0) }
    }()
}

extension InstructionSet {
    static var available: [InstructionSet] { allCases.filter { $0 <= .best } }
}
