/// Why parameters do not make a network.
public enum NetworkError: Error, Equatable, CustomStringConvertible {
    case missingParameter(String, network: String)
    case unknownParameter(String, network: String)

    /// The expected shape as text, since a width may be free.
    case wrongShape(String, network: String, found: [Int], expected: String)

    public var description: String {
        switch self {
        case .missingParameter(let name, let network):
            "the \(network) lacks parameter '\(name)'; was the file made for another network?"
        case .unknownParameter(let name, let network):
            "the \(network) has no parameter '\(name)'; was the file made for another network?"
        case .wrongShape(let name, let network, let found, let expected):
            "parameter '\(name)' of the \(network) has shape \(found) instead of \(expected); "
                + "was the file made for another network size?"
        }
    }
}
