import Glibc

/// Standard output for long exports: in large pieces, and without going on when nobody reads any more.
final class StandardOutput {
    enum Failure: Error {
        /// The reader has gone.
        case closed
    }

    private static let pieceSize = 64 << 10

    private var waiting: [UInt8] = []

    init() {
        // The end of a reader comes as an error of the write, not as the end of this process.
        signal(SIGPIPE, SIG_IGN)
    }

    func write(_ text: String) throws { try write(Array(text.utf8)) }

    func write(_ bytes: [UInt8]) throws {
        waiting += bytes
        if waiting.count >= Self.pieceSize { try flush() }
    }

    /// - Throws: `closed`, or why the rest could not be written.
    func flush() throws {
        var written = 0
        while written < waiting.count {
            let count = waiting.withUnsafeBytes {
                Glibc.write(1, $0.baseAddress.map { $0 + written }, $0.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { throw Failure.closed }
                throw beltwatch.Failure("cannot write the output: \(String(cString: strerror(errno)))", .outputFailed)
            }
            written += count
        }
        waiting.removeAll(keepingCapacity: true)
    }
}
