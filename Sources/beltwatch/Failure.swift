import Archive
import ArgumentParser
import Capture
import Foundation
import InspectionRuntime
import Messaging

/// An exit status of sysexits.h, as scripts and systemd know them.
enum ExitStatus: Int32 {
    case unusableInput = 65
    case inputNotFound = 66
    case endpointUnavailable = 69
    case internalFailure = 70
    case outputFailed = 73
    case refused = 77
    case unusableConfiguration = 78
    case interrupted = 130
}

/// An error together with what the process should exit with.
struct Failure: Error, CustomStringConvertible {
    let description: String
    let status: ExitStatus

    init(_ description: String, _ status: ExitStatus) {
        self.description = description
        self.status = status
    }
}

/// Runs a command's work; whatever it throws becomes one line on standard error and an exit status.
func reportingErrors(_ work: () throws -> Void) throws {
    do {
        try work()
        // What `print` could not write, such as the end of a result on a full disk, would be lost without a word.
        guard fflush(nil) == 0 else {
            throw Failure("standard output cannot be written, so the result is not complete", .outputFailed)
        }
    } catch let error as ExitCode {
        throw error
    } catch let error as ValidationError {
        throw error
    } catch {
        let failure = (error as? Failure) ?? Failure("\(error)", status(of: error))
        note("beltwatch: error: \(failure.description)")
        throw ExitCode(failure.status.rawValue)
    }
}

/// Puts the picture's name before what is wrong with it: in a folder of many it is the first question.
func naming<Value>(_ picture: String, _ work: () throws -> Value) throws -> Value {
    do { return try work() } catch { throw Failure("'\(picture)': \(error)", .unusableInput) }
}

/// One line for people, on standard error: standard output belongs to results.
func note(_ line: String) {
    FileHandle.standardError.write(Data((line + "\n").utf8))
}

private func status(of error: any Error) -> ExitStatus {
    switch error {
    case let error as FileError: status(of: error)
    case let error as ModelFileError: status(of: error.failedCheck)
    case let error as TeacherFileError: status(of: error.failedCheck)
    case let error as CheckpointFileError:
        if case .container(.file(let file)) = error.reason { status(of: file) } else { .unusableInput }
    case let error as DatasetError: if case .file(let file) = error { status(of: file) } else { .unusableInput }
    case CaptureError.cannotOpen: .inputNotFound
    case is CaptureWritingError, is VerdictFileError: .outputFailed
    case is SocketError: .endpointUnavailable
    case is ConfigurationError: .unusableConfiguration
    default: .unusableInput
    }
}

private func status(of check: ModelCheck) -> ExitStatus {
    if case .container(.file(let file)) = check { status(of: file) } else { .unusableInput }
}

private func status(of error: FileError) -> ExitStatus {
    switch error.operation {
    case .read: .unusableInput
    case .open, .list: .inputNotFound
    case .write, .synchronise, .rename, .remove, .lock, .createDirectory: .outputFailed
    }
}
