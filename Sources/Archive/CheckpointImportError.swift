import AnomalyScoring

/// Why files of other projects give no networks.
public enum CheckpointImportError: Error, Hashable, Sendable, CustomStringConvertible {
    case file(FileError)
    case pyTorch(PyTorchFileError)
    case safetensors(path: String, SafetensorsError)

    /// A folder without any file that could be one.
    case noCheckpoints(folder: String, found: [String])

    /// None of the known layouts; some of the names that were found instead.
    case unknownLayout(path: String, names: [String])
    case otherFormat(path: String, found: CheckpointFormat, wanted: CheckpointFormat)
    case missingTensor(path: String, String)
    case unexpectedTensor(path: String, String)
    case shape(path: String, tensor: String, found: [Int], expected: [Int])
    case elementType(path: String, tensor: String)

    /// A NaN or an infinity.
    case finiteness(path: String, tensor: String)
    case negativeDeviation(path: String, tensor: String)
    case foundTwice(part: String, first: String, second: String)
    case halfOfTheStatistics(found: String)
    case differentSizes(teacher: NetworkSize, student: NetworkSize)

    /// The parts of an export do not give the model that was exported.
    case changedSinceExport(path: String, ModelCheck)

    /// What the disk says, where that is the reason.
    public var fileError: FileError? {
        switch self {
        case .file(let error), .safetensors(_, .file(let error)): error
        case .pyTorch(let error):
            switch error.reason {
            case .file(let error), .archive(.file(let error)): error
            default: nil
            }
        default: nil
        }
    }

    public var description: String {
        switch self {
        case .file(let error): error.description
        case .pyTorch(let error): error.description
        case .safetensors(_, .file(let error)): error.description
        case .safetensors(let path, let error): "'\(path)' cannot be read: \(error)"
        case .noCheckpoints(let folder, let found):
            "'\(folder)' has no .pth, .pt, .ckpt or .safetensors file; "
                + (found.isEmpty ? "it is empty" : "it has \(found.map(\.legible).joined(separator: ", "))")
        case .unknownLayout(let path, let names):
            """
            '\(path)' has the layout of none of the known projects (nelson1425/EfficientAD, LeapMind/PUAD, anomalib) and \
            is no export of ours; its tensors are named \(names.map { "'\($0.legible)'" }.joined(separator: ", "))
            """
        case .otherFormat(let path, let found, let wanted):
            "'\(path)' has the names of \(found.rawValue) and not of \(wanted.rawValue); leave --format out"
        case .missingTensor(let path, let name): "'\(path)' lacks tensor '\(name.legible)'"
        case .unexpectedTensor(let path, let name):
            "'\(path)' has tensor '\(name.legible)', which is no part of a network of EfficientAD"
        case .shape(let path, let tensor, let found, let expected):
            """
            '\(path)': \(Self.quoted(tensor)) has shape \(found.legible) and needs \(expected); networks with other widths \
            than the published ones are not supported
            """
        case .elementType(let path, let tensor):
            "'\(path)': \(Self.quoted(tensor)) holds no floating-point numbers"
        case .finiteness(let path, let tensor):
            "'\(path)': \(Self.quoted(tensor)) holds a value that is not a finite number; its training diverged"
        case .negativeDeviation(let path, let tensor):
            "'\(path)': \(Self.quoted(tensor)) holds a negative standard deviation"
        case .foundTwice(let part, let first, let second):
            "both '\(first)' and '\(second)' hold \(part); name the files to take instead of their folder"
        case .halfOfTheStatistics(let found):
            "of the teacher's channel statistics only the \(found) was found; give both, or neither to measure them anew"
        case .differentSizes(let teacher, let student):
            """
            the teacher is of size \(teacher.rawValue) and the student of size \(student.rawValue); give the teacher that \
            the student was trained with
            """
        case .changedSinceExport(let path, let check):
            """
            the weights are not those that '\(path)' was measured with (\(check.description)); leave that file out and \
            calibrate anew with --good
            """
        }
    }

    /// What was saved as a tensor alone has no name.
    private static func quoted(_ tensor: String) -> String {
        tensor.isEmpty ? "its tensor" : "tensor '\(tensor.legible)'"
    }
}
