import AnomalyScoring
import ConvNets

/// Whose names and files a checkpoint has (ALGORITHMS §3.0).
///
/// The networks are the same everywhere, and so is the layout of their weights, `[out, in, side, side]`; the names and
/// the division into files differ.
public enum CheckpointFormat: String, Sendable, CaseIterable, Codable {
    /// github.com/nelson1425/EfficientAD: one `nn.Sequential` per file, its parameters named by their position.
    case nelson1425

    /// github.com/LeapMind/PUAD: one `state_dict` per file, layers named; μ, σ and quantiles in files of their own.
    case puad

    /// github.com/openvinotoolkit/anomalib: everything in one Lightning checkpoint.
    case anomalib

    /// All parts in one safetensors file, named as in a model file.
    case safetensors
}

/// The networks of a model, as the three projects divide it.
public enum NetworkRole: String, Sendable, CaseIterable, Codable {
    case teacher, student, autoencoder
}

extension CheckpointFormat {
    /// What the names of a network's parameters start with; empty where each network has a file of its own.
    func prefix(of role: NetworkRole) -> String {
        switch (self, role) {
        case (.nelson1425, _), (.puad, _): ""
        case (.anomalib, .autoencoder): "ae."
        case (.anomalib, _), (.safetensors, _): "\(role.rawValue)."
        }
    }

    /// μ and σ of the teacher's channels, by the names of the variables or files.
    var statisticsNames: (mean: String, deviation: String) {
        switch self {
        case .nelson1425: ("teacher_mean", "teacher_std")
        case .puad: ("mu", "sigma")
        case .anomalib: ("mean_std.mean", "mean_std.std")
        case .safetensors: ("channels.mean", "channels.deviation")
        }
    }

    /// q_a and q_b of the student-teacher map, then of the autoencoder-student map; nil where they lie elsewhere.
    var quantileNames: [String]? {
        switch self {
        case .nelson1425: ["q_st_start", "q_st_end", "q_ae_start", "q_ae_end"]
        case .puad: ["q_a_student", "q_b_student", "q_a_autoencoder", "q_b_autoencoder"]
        case .anomalib: ["quantiles.qa_st", "quantiles.qb_st", "quantiles.qa_ae", "quantiles.qb_ae"]
        case .safetensors: nil
        }
    }
}

/// What a project calls the parameters of one network.
struct NetworkKeyMap: Sendable {
    /// Patch description networks have a size; nil for the autoencoder, which is the same for both.
    let size: NetworkSize?

    /// Our names in layer order, each with the project's, without any prefix.
    let keys: [(own: String, foreign: String)]

    /// The layouts that a project's networks of a role have had, the present one first.
    static func maps(of role: NetworkRole, in format: CheckpointFormat) -> [NetworkKeyMap] {
        switch role {
        case .teacher, .student:
            NetworkSize.allCases.map { size in
                NetworkKeyMap(
                    size: size, layers: layers(of: .teacher(size)),
                    positions: format == .nelson1425 ? descriptorPositions(size) : nil)
            }
        case .autoencoder where format == .nelson1425:
            [positionsWithDropout, positionsWithoutDropout].map {
                NetworkKeyMap(size: nil, layers: layers(of: .autoencoder), positions: $0)
            }
        case .autoencoder:
            [NetworkKeyMap(size: nil, layers: layers(of: .autoencoder), positions: nil)]
        }
    }

    /// The map that uses the given names, all of them and no others.
    static func matching(_ names: Set<String>, of roles: [NetworkRole], in format: CheckpointFormat) -> NetworkKeyMap? {
        candidates(for: roles, in: format).first { Set($0.keys.map(\.foreign)) == names }
    }

    /// The map that comes nearest to the given names, to say what is missing or too much; nil where none fits any.
    static func nearest(_ names: Set<String>, of roles: [NetworkRole], in format: CheckpointFormat) -> NetworkKeyMap? {
        let counted = candidates(for: roles, in: format).map { map in
            let foreign = Set(map.keys.map(\.foreign))
            return (map, shared: foreign.intersection(names).count, differing: foreign.symmetricDifference(names).count)
        }
        return counted.filter { $0.shared > 0 }.min { $0.differing < $1.differing }?.0
    }

    private static func candidates(for roles: [NetworkRole], in format: CheckpointFormat) -> [NetworkKeyMap] {
        roles.flatMap { maps(of: $0, in: format) }
    }

    /// - Parameter positions: Of the convolutions in an `nn.Sequential`; nil where layers have our names.
    private init(size: NetworkSize?, layers: [String], positions: [Int]?) {
        self.size = size
        keys = layers.enumerated().flatMap { number, layer in
            ["weight", "bias"].map { kind in
                (own: "\(layer).\(kind)", foreign: "\(positions.map { String($0[number]) } ?? layer).\(kind)")
            }
        }
    }

    private static func layers(of architecture: NetworkArchitecture) -> [String] {
        architecture.parameters.map(\.name).filter { $0.hasSuffix(".weight") }.map {
            String($0.dropLast(".weight".count))
        }
    }

    private static func descriptorPositions(_ size: NetworkSize) -> [Int] {
        switch size {
        case .small: [0, 3, 6, 8]
        case .medium: [0, 3, 6, 8, 10, 12]
        }
    }

    /// Six layers of the decoder are followed by a dropout, which takes a position.
    private static let positionsWithDropout = [0, 2, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 36, 38]

    /// The project's first months had none.
    private static let positionsWithoutDropout = [0, 2, 4, 6, 8, 10, 12, 15, 18, 21, 24, 27, 30, 32]
}
