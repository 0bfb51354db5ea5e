/// What a mailbox does with one element more than it has room for.
public enum OverflowPolicy: String, Codable, Sendable, CaseIterable {
    /// The sender waits for room: nothing is lost and the slowest stage sets the pace. Right for recordings, wrong for a
    /// camera, which does not wait.
    case wait

    /// The element that has waited longest makes room. It is the nearest to missing its deadline, and what stays is
    /// fresh enough to make its own.
    case dropOldest = "drop_oldest"

    /// The element that came last is turned away. What was taken in is finished; under lasting overload it is finished
    /// late.
    case rejectNewest = "reject_newest"
}

/// A queue with a limit, and a rule for what happens beyond it.
///
/// Pure bookkeeping, without lock or thread; `Stage` and the journal put both around it.
public struct BoundedMailbox<Element> {
    /// Where an offered element went.
    public enum Admission {
        case stored

        /// The new element was stored, and this one, the oldest, was discarded for it.
        case storedInsteadOf(Element)

        /// The new element was discarded.
        case refused(Element)

        /// There is no room and the policy is to wait: offer the element again after one was taken out.
        case mustWait
    }

    public let capacity: Int
    public let policy: OverflowPolicy

    /// A ring: `count` elements from `first` on, nil elsewhere.
    private var places: [Element?]
    private var first = 0
    public private(set) var count = 0

    /// - Parameter capacity: At least 1. More rides out longer stalls; each element in it waits longer.
    public init(capacity: Int, policy: OverflowPolicy) {
        precondition(capacity > 0, "a mailbox needs room for at least one element")
        self.capacity = capacity
        self.policy = policy
        places = Array(repeating: nil, count: capacity)
    }

    public var hasRoom: Bool { count < capacity }

    /// Takes an element in, by the rules of the policy.
    public mutating func offer(_ element: consuming Element) -> Admission {
        if hasRoom {
            store(element)
            return .stored
        }
        switch policy {
        case .wait:
            return .mustWait
        case .rejectNewest:
            return .refused(element)
        case .dropOldest:
            guard let oldest = next() else { preconditionFailure("a full mailbox has an oldest element") }
            store(element)
            return .storedInsteadOf(oldest)
        }
    }

    /// Takes the oldest element out.
    public mutating func next() -> Element? {
        guard count > 0 else { return nil }
        let element = places[first].take()
        first = (first + 1) % capacity
        count -= 1
        return element
    }

    private mutating func store(_ element: consuming Element) {
        places[(first + count) % capacity] = element
        count += 1
    }
}

extension BoundedMailbox.Admission: Sendable where Element: Sendable {}
