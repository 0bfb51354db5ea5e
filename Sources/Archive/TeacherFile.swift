import AnomalyScoring
import ConvNets
import TensorKernels

/// A frozen teacher network as it was found in a file.
public struct LoadedTeacher: Sendable {
    /// `conv1.weight` … `conv4.bias` (PDN-S) or `conv6.bias` (PDN-M), weights `[out, in, side, side]`.
    public let parameters: ParameterSet

    /// Who made it, how and under which terms, as far as the file says; the model card repeats it.
    public let provenance: String

    /// SHA-256 of the whole file, hexadecimal.
    public let sha256: String
}

/// Teacher weights in a `.safetensors` file of their own, F32 or F16, without any prefix to the names.
public enum TeacherFile {
    /// What the teacher that comes with the program is called.
    public static let embeddedName = "teacher_small.fp16.safetensors"

    /// - Throws: The first check that fails, in the words that model files use.
    public static func load(_ path: String, size: NetworkSize = .small) throws(TeacherFileError) -> LoadedTeacher {
        do throws(ModelCheck) {
            let reader = try ModelCheck.wrapping { () throws(SafetensorsError) in try SafetensorsFile.Reader(path) }
            let architecture = NetworkArchitecture.teacher(size)
            try check(reader.header.entries, against: architecture)
            let contents = try ModelCheck.wrapping { () throws(SafetensorsError) in try reader.contents() }
            var parameters = ParameterSet()
            for (name, shape) in architecture.parameters {
                guard let values = contents.file.tensor(named: name)?.floats else { throw .missingTensor(name) }
                guard values.allSatisfy(\.isFinite) else { throw .finiteness(of: name) }
                parameters.append(name, Tensor(shape: shape, values: values))
            }
            return LoadedTeacher(
                parameters: parameters,
                provenance: provenance(in: contents.file.metadata, sha256: contents.fileDigest),
                sha256: contents.fileDigest)
        } catch {
            throw TeacherFileError(path: path, failedCheck: error)
        }
    }

    /// The teacher that comes with the program, or nil where the installation has none; training then starts from a
    /// seeded orthogonal one.
    public static func embeddedDefault(
        in data: InstalledData = .standard()
    ) throws(TeacherFileError) -> LoadedTeacher? {
        guard let path = data.path(of: embeddedName) else { return nil }
        return try load(path)
    }

    private static func check(
        _ entries: [SafetensorsHeader.Entry], against architecture: NetworkArchitecture
    ) throws(ModelCheck) {
        for entry in entries {
            guard let shape = architecture.parameters.first(where: { $0.name == entry.name })?.shape else {
                throw .unexpectedTensor(entry.name)
            }
            guard entry.shape == shape else { throw .shape(tensor: entry.name, found: entry.shape, expected: shape) }
            guard entry.type == .float16 || entry.type == .float32 else {
                throw .elementType(tensor: entry.name, found: entry.type, expected: .float32)
            }
        }
        for (name, _) in architecture.parameters where !entries.contains(where: { $0.name == name }) {
            throw .missingTensor(name)
        }
    }

    private static func provenance(in metadata: [String: String], sha256: String) -> String {
        let said = ["training", "licence", "license"].compactMap { key in metadata[key].map { "\(key): \($0)" } }
        return (said + ["sha256: \(sha256)"]).joined(separator: "; ")
    }
}

/// Why a teacher file was refused: which file, and the first check that failed.
public struct TeacherFileError: Error, Hashable, Sendable, CustomStringConvertible {
    public let path: String
    public let failedCheck: ModelCheck

    public var description: String {
        "teacher '\(path)' is refused, check '\(failedCheck.name)' failed: \(failedCheck.description)"
    }
}
