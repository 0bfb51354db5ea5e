/// Why a model file was refused: which file, and the first check that failed.
public struct ModelFileError: Error, Hashable, Sendable, CustomStringConvertible {
    public let path: String
    public let failedCheck: ModelCheck

    public var description: String {
        "model '\(path)' is refused, check '\(failedCheck.name)' failed: \(failedCheck.description)"
    }
}

/// A check that a model has to pass, with what was found instead.
public enum ModelCheck: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file cannot be read or written, or is not well-formed safetensors.
    case container(SafetensorsError)

    /// There is no manifest, or it does not say what a manifest has to say.
    case manifest(reason: String)

    /// The manifest's text is not the one that was written.
    case manifestDigest

    /// Written by a program that knows more than this one.
    case version(found: Int)
    case missingTensor(String)
    case unexpectedTensor(String)
    case elementType(tensor: String, found: ElementType, expected: ElementType)
    case shape(tensor: String, found: [Int], expected: [Int])

    /// The data section is not the one that was written.
    case dataDigest(found: String, recorded: String)

    /// A NaN or an infinity.
    case finiteness(of: String)

    /// σ ≤ 0 where a spread is divided by.
    case spread(of: String)

    /// q_b ≤ q_a, so the map cannot be normalised.
    case quantileOrder(map: String)

    /// Values above the diagonal of the Cholesky factor.
    case triangularity(row: Int, column: Int)
    case range(of: String, found: String, expected: String)

    /// Storing the weight would change it: it was not rounded before the model was measured.
    case precision(tensor: String)

    /// The word that documentation and logs use for this check.
    public var name: String {
        switch self {
        case .container: "container"
        case .manifest: "manifest"
        case .manifestDigest: "manifest digest"
        case .version: "version"
        case .missingTensor, .unexpectedTensor, .elementType, .shape: "architecture"
        case .dataDigest: "data digest"
        case .finiteness: "finiteness"
        case .spread: "spread"
        case .quantileOrder: "quantile order"
        case .triangularity: "triangularity"
        case .range: "range"
        case .precision: "precision"
        }
    }

    public var description: String {
        switch self {
        case .container(let error):
            error.description
        case .manifest(let reason):
            "the manifest cannot be used: \(reason)"
        case .manifestDigest:
            "the manifest was changed or damaged after it was written; use an undamaged copy"
        case .version(let found):
            "it has version \(found) and this program reads versions 1 to \(ModelManifest.currentVersion); "
                + "update the program"
        case .missingTensor(let name):
            "tensor '\(name.legible)' is missing"
        case .unexpectedTensor(let name):
            "tensor '\(name.legible)' is no part of this architecture"
        case .elementType(let tensor, let found, let expected):
            "tensor '\(tensor.legible)' has element type \(found.rawValue) and needs \(expected.rawValue)"
        case .shape(let tensor, let found, let expected):
            "tensor '\(tensor.legible)' has shape \(found.legible) and needs \(expected)"
        case .dataDigest(let found, let recorded):
            "the data has SHA-256 \(found) and was written with \(recorded); use an undamaged copy"
        case .finiteness(let value):
            "\(value) holds a value that is not a finite number"
        case .spread(let value):
            "\(value) is not greater than zero; calibrate with at least two different good parts"
        case .quantileOrder(let map):
            "the upper quantile of the \(map) map does not exceed the lower one; calibrate with different good parts"
        case .triangularity(let row, let column):
            "the Cholesky factor is not lower triangular: row \(row), column \(column) is not zero"
        case .range(let value, let found, let expected):
            "\(value) is \(found) and has to be \(expected)"
        case .precision(let tensor):
            "the values of '\(tensor)' are not exact in the model's precision; round the weights before measuring"
        }
    }
}

extension ModelCheck {
    /// Runs a file operation whose failure is a failed check of the model.
    static func wrapping<Value: ~Copyable>(
        _ access: () throws(SafetensorsError) -> Value
    ) throws(ModelCheck) -> Value {
        do { return try access() } catch { throw .container(error) }
    }
}
