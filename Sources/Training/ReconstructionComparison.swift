import ConvNets
import TensorKernels

/// What teacher, autoencoder and the student's latter half have to say about each other: losses, and gradients for both
/// learners.
struct ReconstructionComparison {
    var losses: TrainingRun.Losses

    /// ∂L/∂A.
    var reconstructionGradient: Tensor

    /// ∂L/∂S₂.
    var imitationGradient: Tensor

    /// L_AE and L_STAE, and what `constraint` adds.
    ///
    /// L_STAE is not detached: it moves the autoencoder too (ALGORITHMS §3.1).
    ///
    /// - Parameters: T̂, A and S₂ of the same picture.
    init(teacher: Tensor, reconstruction: Tensor, imitation: Tensor, constraint: (any ReconstructionConstraint)?) {
        let autoencoder = MeanSquaredError(prediction: reconstruction, target: teacher)
        let student = MeanSquaredError(prediction: imitation, target: reconstruction)
        losses = .init(autoencoder: autoencoder.value, studentAutoencoder: student.value)
        imitationGradient = student.predictionGradient
        reconstructionGradient = autoencoder.predictionGradient
        reconstructionGradient.add(student.predictionGradient, times: -1)
        constraint?.add(to: &self, teacher: teacher, reconstruction: reconstruction, imitation: imitation)
    }
}

/// A loss that a method adds to L_AE and L_STAE.
protocol ReconstructionConstraint: Sendable {
    /// Adds the weighted loss and its gradients.
    func add(
        to comparison: inout ReconstructionComparison, teacher: Tensor, reconstruction: Tensor, imitation: Tensor)
}

/// LA-EAD's `α·L_RDC`.
struct DifferenceTerm: ReconstructionConstraint {
    /// α; 0 adds nothing to loss and gradients.
    let weight: Float

    func add(
        to comparison: inout ReconstructionComparison, teacher: Tensor, reconstruction: Tensor, imitation: Tensor
    ) {
        let constraint = ReconstructionDifferenceConstraint(
            teacher: teacher, reconstruction: reconstruction, imitation: imitation)
        comparison.losses.constraint = Double(weight) * constraint.value
        comparison.reconstructionGradient.add(constraint.reconstructionGradient, times: weight)
        comparison.imitationGradient.add(constraint.imitationGradient, times: weight)
    }
}

/// DFSC's `2·L_DFSC` (arXiv 2407.17909, Eq. 7).
struct SeparationTerm: ReconstructionConstraint {
    let constraint: FeatureSeparationConstraint
    private let weight: Float = 2

    init(constraint: FeatureSeparationConstraint) { self.constraint = constraint }

    func add(
        to comparison: inout ReconstructionComparison, teacher: Tensor, reconstruction: Tensor, imitation: Tensor
    ) {
        let separation = constraint(teacher: teacher, reconstruction: reconstruction)
        comparison.losses.constraint = Double(weight) * separation.value
        comparison.losses.separation = .init(
            keptLocations: separation.keptLocations, singleChannelLocations: separation.singleChannelLocations)
        comparison.reconstructionGradient.add(separation.gradient, times: weight)
    }
}

extension Tensor {
    /// `self ← self + factor·other`, element by element.
    fileprivate mutating func add(_ other: Tensor, times factor: Float) {
        let summand = other.values.span
        var sum = values.mutableSpan
        for index in summand.indices { sum[index] += factor * summand[index] }
    }
}
