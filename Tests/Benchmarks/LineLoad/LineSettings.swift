import Foundation
import InspectionProtocol
import InspectionRuntime

/// The file of the station that is measured: what a file must say, and the daemon's own defaults for the rest.
enum LineSettings {
    static let station = "load"

    /// How the verdicts and the results travel. The recovery endpoint is always tcp.
    enum Transport: String, CaseIterable, Sendable {
        case tcp
        case ipc
    }

    /// - Parameter directory: The station's own, for its state and its sockets.
    static func configuration(in directory: String, over transport: Transport) throws -> StationConfiguration {
        func endpoint(_ name: String) -> String {
            switch transport {
            case .tcp: "tcp://127.0.0.1:*"
            case .ipc: "ipc://\(directory)/\(name)"
            }
        }
        let text = """
            station: \(station)
            model: none
            state_directory: \(directory)/state
            latency_budget: 250ms
            source: {pipeline: generator, live: true}
            endpoints:
              verdicts: \(endpoint("verdicts"))
              results: \(endpoint("results"))
              recovery: tcp://127.0.0.1:*
            """
        return try StationConfiguration(parsing: text, file: directory + "/station.yaml")
    }
}
