import Imaging
import InspectionProtocol

/// Lets an event that comes again and again through once a second, with its count: whoever floods the station shall not
/// fill its journal.
///
/// Pure bookkeeping; `DecisionDesk` puts the clock around it.
struct EventLimiter {
    /// Kinds of repetition that are told apart at one time.
    static let capacity = 64
    static let period = Duration.seconds(1)

    private struct Repeated {
        let event: StationEvent
        var since: MonotonicInstant
        var held = 0
    }

    private var repeated: [String: Repeated] = [:]

    /// - Parameter key: Equal for events that are one and the same to a reader.
    /// - Returns: The event, if it is to go out now.
    mutating func admit(_ event: StationEvent, key: String, at now: MonotonicInstant) -> StationEvent? {
        // Beyond the capacity an event is told apart by its name alone: names are few, and nobody else chooses them.
        let key = repeated[key] != nil || repeated.count < Self.capacity ? key : event.name.rawValue
        guard repeated[key] != nil else {
            repeated[key] = Repeated(event: event, since: now)
            return event
        }
        repeated[key]?.held += 1
        return nil
    }

    /// Everything that was held back, at the end.
    mutating func rest() -> [StationEvent] {
        defer { repeated.removeAll() }
        return repeated.sorted { $0.key < $1.key }.map(\.value).filter { $0.held > 0 }.map { entry in
            var event = entry.event
            event.details["count"] = "\(entry.held)"
            return event
        }
    }

    /// What was held back for long enough, each kind once, with how many there were as `details.count`.
    mutating func due(at now: MonotonicInstant) -> [StationEvent] {
        var events: [StationEvent] = []
        for (key, entry) in repeated.sorted(by: { $0.key < $1.key })
        where entry.since.duration(to: now) >= Self.period {
            guard entry.held > 0 else {
                repeated[key] = nil
                continue
            }
            var event = entry.event
            event.details["count"] = "\(entry.held)"
            events.append(event)
            repeated[key]?.held = 0
            repeated[key]?.since = now
        }
        return events
    }
}
