import TensorKernels

/// RDC: student and autoencoder shall be equally far from the teacher, element by element (LA-EAD Eq. 1–3, Sensors 2025,
/// 25, 5016; ALGORITHMS §3.1).
///
/// `D_TAE = (T̂ − A)²`, `D_TSAE = (T̂ − S₂)²`, `L_RDC = mean((D_TAE − D_TSAE)²)`. The gradient guides both learners, the
/// teacher is a constant (D10). The sign of a residual does not count: `S₂ = 2T̂ − A` costs nothing.
public struct ReconstructionDifferenceConstraint: Sendable {
    /// The loss, summed in `Double`.
    public let value: Double

    /// ∂L/∂A = `(4/n)·(D_TAE − D_TSAE)·(A − T̂)`.
    public let reconstructionGradient: Tensor

    /// ∂L/∂S₂ = `−(4/n)·(D_TAE − D_TSAE)·(S₂ − T̂)`.
    public let imitationGradient: Tensor

    /// - Parameters:
    ///   - teacher: T̂, normalised.
    ///   - reconstruction: A, the autoencoder's output.
    ///   - imitation: S₂, the latter half of the student's output.
    /// - Precondition: All have the same shape and at least one value.
    public init(teacher: Tensor, reconstruction: Tensor, imitation: Tensor) {
        precondition(
            teacher.shape == reconstruction.shape && teacher.shape == imitation.shape,
            "shapes \(teacher.shape), \(reconstruction.shape) and \(imitation.shape) differ")
        precondition(teacher.count > 0, "no features to compare")
        let count = teacher.count
        var sum = 0.0
        var imitationGradient = Tensor(shape: teacher.shape)
        let (t, a, s) = (teacher.values.span, reconstruction.values.span, imitation.values.span)
        let scale = 4 / Float(count)
        reconstructionGradient = Tensor(shape: teacher.shape) { gradient in
            var other = imitationGradient.values.mutableSpan
            for index in 0..<count {
                let (toReconstruction, toImitation) = (a[index] - t[index], s[index] - t[index])
                let difference = toReconstruction * toReconstruction - toImitation * toImitation
                sum += Double(difference) * Double(difference)
                gradient[index] = scale * difference * toReconstruction
                other[index] = -scale * difference * toImitation
            }
        }
        self.imitationGradient = imitationGradient
        value = sum / Double(count)
    }
}
