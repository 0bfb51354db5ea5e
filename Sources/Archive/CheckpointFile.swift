import Crypto
import TensorKernels

/// A training that was interrupted, as it can be taken up again: tensors by name, and everything else as one value.
public struct TrainingCheckpoint<Metadata: Codable & Sendable>: Sendable {
    /// In any order, which is kept: weights, moments, whatever the training moves.
    public var tensors: [(name: String, tensor: Tensor)]

    /// Iteration, generator states, settings, data digest: whatever is no tensor. Its numbers must be finite.
    public var metadata: Metadata

    public init(tensors: [(name: String, tensor: Tensor)], metadata: Metadata) {
        self.tensors = tensors
        self.metadata = metadata
    }
}

/// Checkpoint files: a `.safetensors` file that is replaced in one step, so that a crash while saving costs nothing but
/// the steps since the last one.
public enum CheckpointFile {
    private static let versionKey = "beltwatch.checkpoint"
    private static let metadataKey = "beltwatch.checkpoint.metadata"
    private static let digestKey = "beltwatch.checkpoint.sha256"
    /// 2 since there are objectives; what version 1 left out cannot be guessed.
    private static let version = "2"

    /// Replaces the file at `path`; every tensor value, NaN included, is stored as it is.
    ///
    /// - Precondition: No tensor name occurs twice.
    public static func save<Metadata>(
        _ checkpoint: TrainingCheckpoint<Metadata>, to path: String
    ) throws(CheckpointFileError) {
        do throws(CheckpointFileError.Reason) {
            let metadata: String
            do { metadata = try CanonicalJSON.text(of: checkpoint.metadata) } catch {
                throw .metadata(error.description)
            }
            let tensors = checkpoint.tensors.map { StoredTensor($0.name, shape: $0.tensor.shape, $0.tensor.values) }
            let dataDigest = SafetensorsFile(tensors: tensors, metadata: [:]).dataDigest
            let file = SafetensorsFile(
                tensors: tensors,
                metadata: [
                    versionKey: version, metadataKey: metadata,
                    digestKey: digest(metadata: metadata, dataDigest: dataDigest),
                ])
            do { try file.write(to: path) } catch { throw .container(error) }
        } catch {
            throw CheckpointFileError(path: path, reason: error)
        }
    }

    /// - Throws: Where the file is no checkpoint, is damaged, or its metadata is not a `Metadata`.
    public static func load<Metadata>(
        _ path: String, metadata: Metadata.Type = Metadata.self
    ) throws(CheckpointFileError) -> TrainingCheckpoint<Metadata> {
        do throws(CheckpointFileError.Reason) {
            let contents = try readContents(path)
            let texts = contents.file.metadata
            guard let found = texts[versionKey], let text = texts[metadataKey] else { throw .notACheckpoint }
            guard found == version else { throw .version(found) }
            guard texts[digestKey] == digest(metadata: text, dataDigest: contents.dataDigest) else { throw .digest }
            var tensors: [(name: String, tensor: Tensor)] = []
            for tensor in contents.file.tensors {
                guard let values = tensor.floats else { throw .notACheckpoint }
                tensors.append((tensor.name, Tensor(shape: tensor.shape, values: values)))
            }
            do {
                return TrainingCheckpoint(
                    tensors: tensors, metadata: try CanonicalJSON.value(Metadata.self, from: text))
            } catch {
                throw .metadata(error.description)
            }
        } catch {
            throw CheckpointFileError(path: path, reason: error)
        }
    }

    private static func readContents(
        _ path: String
    ) throws(CheckpointFileError.Reason) -> SafetensorsFile.Contents {
        do { return try SafetensorsFile.Reader(path).contents() } catch { throw .container(error) }
    }

    private static func digest(metadata: String, dataDigest: String) -> String {
        SHA256.hash(data: Array("\(dataDigest)\n\(metadata)".utf8)).hexadecimal
    }
}

/// Why a checkpoint could not be saved or taken up: which file, and what about it.
public struct CheckpointFileError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Error, Hashable, Sendable {
        case container(SafetensorsError)
        case notACheckpoint
        case version(String)

        /// The content is not what was written.
        case digest

        /// What the training wrote beside the tensors does not read as what the training wants.
        case metadata(String)
    }

    public let path: String
    public let reason: Reason

    public var description: String {
        switch reason {
        case .container(let error): "checkpoint '\(path)' cannot be used: \(error)"
        case .notACheckpoint: "'\(path)' is not a training checkpoint"
        case .version(let found):
            "checkpoint '\(path)' has version \(found), which this program does not know; resume with the program that "
                + "wrote it"
        case .digest: "checkpoint '\(path)' is damaged: its SHA-256 is not the recorded one; start the training anew"
        case .metadata(let reason): "checkpoint '\(path)' does not describe a training of this kind: \(reason)"
        }
    }
}
