import AnomalyScoring
import Archive
import ConvNets

/// The frozen teacher of a training, with where it comes from.
struct TrainTeacher {
    let network: PatchDescriptionNetwork

    /// For the model card.
    let provenance: String

    /// What has to be the same for a training to be resumed.
    let identity: String

    /// - Parameters:
    ///   - path: The operator's teacher of this size; nil takes the one that comes with the program.
    ///   - precision: The teacher is rounded before anything is measured or trained with it.
    init(path: String?, size: NetworkSize, precision: WeightPrecision) throws {
        var source = try Self.source(path: path, size: size)
        if source.size != size {
            note(
                """
                no PDN-M teacher is installed: the PDN-S teacher is written down as a PDN-M that computes the same, so \
                expect no published accuracy of it; --teacher takes a PDN-M teacher
                """)
            let small = try PatchDescriptionNetwork(parameters: source.parameters)
            source.parameters = TeacherWidening(of: small).parameters
            source.provenance = "PDN-S written down as a PDN-M that computes the same; PDN-S: \(source.provenance)"
            source.identity = "widened \(source.identity)"
        }
        let rounded = precision.rounded(source.parameters)
        network = try PatchDescriptionNetwork(parameters: rounded, size: size)
        provenance = source.provenance
        identity = rounded == source.parameters ? source.identity : "\(source.identity) as \(precision.rawValue)"
    }

    private struct Source {
        var parameters: ParameterSet
        var size: NetworkSize
        var provenance: String
        var identity: String
    }

    private static func source(path: String?, size: NetworkSize) throws -> Source {
        if let path {
            let loaded = try TeacherFile.load(path, size: size)
            return Source(
                parameters: loaded.parameters, size: size, provenance: loaded.provenance, identity: loaded.sha256)
        }
        if let loaded = try TeacherFile.embeddedDefault() {
            return Source(
                parameters: loaded.parameters, size: .small, provenance: loaded.provenance, identity: loaded.sha256)
        }
        note("no teacher weights are installed: the teacher is a random one, and results are weaker; see --teacher")
        // Not the run's seed: the teacher stays the same whatever else changes.
        var stream = RandomStream(seed: 0, stream: .initialisation)
        return Source(
            parameters: PatchDescriptionNetwork.orthogonalParameters(outputChannels: 384, using: &stream),
            size: .small, provenance: "seeded orthogonal-random PDN-S, made by this program; licence: Apache-2.0",
            identity: "orthogonal-random")
    }
}
