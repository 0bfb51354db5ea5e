import AnomalyScoring
import ConvNets

/// The names and shapes that a network's parameters must have, in the order of its layers.
struct NetworkArchitecture {
    let parameters: [(name: String, shape: [Int])]

    /// Channels of the teacher's output, which are also the features of the unpicturable score.
    static let featureCount = 384

    static func teacher(_ size: NetworkSize) -> NetworkArchitecture { descriptor(size, outputChannels: featureCount) }

    static func student(_ size: NetworkSize) -> NetworkArchitecture {
        descriptor(size, outputChannels: 2 * featureCount)
    }

    static let autoencoder = NetworkArchitecture(
        parameters: Autoencoder.parameterShapes(outputChannels: featureCount))

    /// LA-EAD's context extractor, the same for every size of the others.
    static let extractor = NetworkArchitecture(
        parameters: ContextExtractor.parameterShapes(outputChannels: featureCount))

    private static func descriptor(_ size: NetworkSize, outputChannels: Int) -> NetworkArchitecture {
        NetworkArchitecture(
            parameters: PatchDescriptionNetwork.parameterShapes(outputChannels: outputChannels, size: size))
    }
}
