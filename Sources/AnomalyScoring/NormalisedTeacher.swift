import ConvNets
import TensorKernels

/// T̂ = (T − μ)/σ: the frozen teacher with the statistics of its output over the training pictures (ALGORITHMS §1.3).
public struct NormalisedTeacher: Sendable {
    public let network: PatchDescriptionNetwork
    public let statistics: ChannelStatistics

    /// - Precondition: One mean and one deviation per output channel.
    public init(network: PatchDescriptionNetwork, statistics: ChannelStatistics) {
        precondition(
            statistics.mean.count == network.outputChannels && statistics.deviation.count == network.outputChannels,
            "statistics of \(statistics.mean.count) channels for a teacher of \(network.outputChannels)")
        self.network = network
        self.statistics = statistics
    }

    /// - Parameter image: ImageNet-normalised, `[3, 256, 256]`.
    /// - Returns: `[384, 56, 56]`; dead channels are zero everywhere.
    public func features(of image: Tensor, on engine: any ConvolutionEngine) -> Tensor {
        var features = network.forward(image, on: engine)
        let plane = features.count / features.shape[0]
        var values = features.values.mutableSpan
        for channel in statistics.mean.indices {
            let (mean, deviation) = (statistics.mean[channel], statistics.deviation[channel])
            let scale = deviation > 0 ? 1 / deviation : 0
            for i in channel * plane..<(channel + 1) * plane { values[i] = (values[i] - mean) * scale }
        }
        return features
    }
}
