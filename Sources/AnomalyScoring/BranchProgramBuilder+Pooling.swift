import ConvNets
import TensorKernels

extension BranchProgramBuilder {
    /// The features of student or teacher, pooled without being computed: window sums over what the last layer reads, then
    /// the products of these with its weights. Nothing where an extractor's features count.
    ///
    /// - Parameter images: What the last layers of teacher and student read.
    mutating func pooledFeatures(
        from images: [PanelImage], lastLayer name: String
    ) -> (windows: [any WorkPhase], results: [any WorkPhase]) {
        let source: PanelImage
        let (weights, bias): (Tensor, [Float])
        switch networks.pooling {
        case .studentFormerHalf:
            let student = networks.student.parameters
            let half = networks.student.outputChannels / 2
            source = images[1]
            (weights, bias) = (student.weight(name).channels(0..<half), Array(student.bias(name)[..<half]))
        case .teacher:
            let normalisation = TeacherNormalisation(networks.teacher.statistics)
            source = images[0]
            weights = normalisation.weights(teacher.parameters.weight(name))
            bias = normalisation.bias(teacher.parameters.bias(name))
        case .contextExtractor:
            return ([], [])
        }
        let (windows, results) = PooledConvolutionStage(
            source, weights: weights, bias: bias, to: pooled, in: &plan, instructionSet: instructionSet
        ).phases()
        return ([windows], [results])
    }
}
