import InspectionProtocol

/// What keeps a station's messages on disk, as the decision path sees it.
public protocol RecordKeeper: Sendable {
    /// Asked on `beltwatch.decide` for every part and ten times a second, so it must not wait.
    var recordCondition: RecordCondition { get }

    /// What happened to the record since the last call, to be published; asked ten times a second and without waiting.
    func takeEvents() -> [StationEvent]
}

extension RecordKeeper {
    /// Nothing ever happens to it but what `recordCondition` says.
    public func takeEvents() -> [StationEvent] { [] }
}

/// Whether what the station says is being kept.
public enum RecordCondition: Hashable, Sendable {
    case complete

    /// Something was not kept, or will not be: inspection goes on, with the flag `degraded_evidence`.
    case degraded

    /// Nothing can be kept: nobody could ever say what was accepted, so everything is rejected.
    case failed(reason: String)
}
