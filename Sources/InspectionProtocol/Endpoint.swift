/// Where messages are published: `tcp://127.0.0.1:5556`, `tcp://[::1]:*` or `ipc:///run/beltwatch/line1/verdicts`.
public struct Endpoint: Hashable, Sendable {
    public enum Transport: Hashable, Sendable {
        /// A host as it stands in the text, IPv6 in brackets, and a port; nil for `*`, a port that the system picks.
        case tcp(host: String, port: UInt16?)

        /// The absolute path of a Unix domain socket.
        case ipc(path: String)
    }

    /// Bytes that the path of a Unix domain socket can have on Linux.
    public static let longestPath = 107

    public let transport: Transport

    public init(_ text: String) throws(EndpointError) {
        if text.hasPrefix("tcp://") {
            let address = text.dropFirst("tcp://".count)
            guard let colon = address.lastIndex(of: ":"), colon > address.startIndex else { throw .noPort(text) }
            let host = String(address[..<colon])
            guard !host.contains(":") || (host.hasPrefix("[") && host.hasSuffix("]")) else { throw .noPort(text) }
            let portText = address[address.index(after: colon)...]
            let port = UInt16(portText)
            guard portText == "*" || port ?? 0 > 0 else { throw .noPort(text) }
            transport = .tcp(host: host, port: port)
        } else if text.hasPrefix("ipc://") {
            let path = String(text.dropFirst("ipc://".count))
            guard path.hasPrefix("/"), !path.hasSuffix("/") else { throw .pathNotAbsolute(text) }
            guard path.utf8.count <= Self.longestPath else { throw .pathTooLong(text) }
            transport = .ipc(path: path)
        } else {
            throw .unknownTransport(text)
        }
    }

    /// Whether nobody on another machine can reach it.
    ///
    /// Addresses only: what a name stands for is not in our hands.
    public var isLocal: Bool {
        switch transport {
        case .ipc: true
        case .tcp("[::1]", _): true
        case .tcp(let host, _):
            host.hasPrefix("127.") && host.split(separator: ".", omittingEmptySubsequences: false).count == 4
                && host.split(separator: ".").compactMap { UInt8($0) }.count == 4
        }
    }
}

extension Endpoint: CustomStringConvertible {
    public var description: String {
        switch transport {
        case .tcp(let host, let port): "tcp://\(host):\(port.map { "\($0)" } ?? "*")"
        case .ipc(let path): "ipc://\(path)"
        }
    }
}

/// Why a text is not an endpoint.
public enum EndpointError: Error, Hashable, CustomStringConvertible {
    case unknownTransport(String)
    case noPort(String)
    case pathNotAbsolute(String)
    case pathTooLong(String)

    public var description: String {
        switch self {
        case .unknownTransport(let text):
            "endpoint \"\(text)\" is neither tcp nor ipc; write tcp://127.0.0.1:5556 or ipc:///run/beltwatch/line1"
        case .noPort(let text):
            "endpoint \"\(text)\" is not tcp://host:port; the port is 1 to 65535, or * for any that is free"
        case .pathNotAbsolute(let text):
            "endpoint \"\(text)\" does not name a file by its absolute path, like ipc:///run/beltwatch/line1"
        case .pathTooLong(let text):
            "endpoint \"\(text)\" has a path of more than \(Endpoint.longestPath) bytes; use a shorter directory"
        }
    }
}
