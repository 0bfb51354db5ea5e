import Archive
import Capture
import ConvNets
import AnomalyScoring
import InspectionRuntime
import StationAssembly

/// Why a station cannot start, or did not stop as it should.
enum StationError: Error, CustomStringConvertible {
    case configuration(ConfigurationError)

    /// The pipeline of the configuration does not parse, or names elements that are not installed.
    case pipeline(file: String, CaptureError)
    case model(ModelFileError)
    case network(path: String, NetworkError)
    case selfTest(path: String, SelfTestError)
    case line(StationLineError)

    /// After a request to stop, parts in flight were not answered in time.
    case didNotDrain

    var description: String {
        switch self {
        case .configuration(let error): "\(error)"
        case .pipeline(let file, let error): "\(file): 'source': \(error)"
        case .model(let error): "\(error)"
        case .network(let path, let error): "model '\(path)' is refused: \(error)"
        case .selfTest(let path, let error): "model '\(path)' is refused: \(error)"
        case .line(let error): "\(error)"
        case .didNotDrain: "a stage hangs and parts in flight could not be answered; the process ends all the same"
        }
    }

    /// As sysexits.h has them. 78 is not worth another try, and the unit does not make one.
    var exitStatus: Int32 {
        switch self {
        case .configuration, .pipeline, .line(.state(.heldByAnotherProcess)): 78
        case .model(let error): error.isMissingFile ? 66 : 65
        case .network, .selfTest: 65
        case .line(.endpoint): 69
        case .didNotDrain: 70
        case .line(.state), .line(.journal): 73
        }
    }
}

extension ModelFileError {
    fileprivate var isMissingFile: Bool {
        if case .container(.file(let error)) = failedCheck { error.cause == .missing } else { false }
    }
}
