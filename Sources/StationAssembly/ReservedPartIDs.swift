import Archive
import Dispatch
import InspectionProtocol
import InspectionRuntime
import Journal
import Locking
import Logging

/// Part ids that this station never gave and never will give again, reserved on disk ahead of need.
public final class ReservedPartIDs: PartIDSource {
    /// Ids per reservation. More means fewer syncs, and more ids skipped at each start.
    private static let blockSize: UInt64 = 1024

    private struct Stock {
        var ids = PartIDs()
        var isRefilling = false
    }

    private let journal: JournalWriter
    private let logger: Logger
    private let stock: Lock<Stock>
    private let queue = DispatchQueue(label: "beltwatch.part-ids")

    public init(journal: JournalWriter, logger: Logger) throws(StationStateError) {
        self.journal = journal
        self.logger = logger
        var stock = Stock()
        stock.ids.add(try journal.reservePartIDs(Self.blockSize))
        self.stock = Lock(stock)
    }

    public func next() throws -> PartID {
        let (id, refills) = stock.withLock { stock in
            let id = stock.ids.next()
            let refills = stock.ids.count < Self.blockSize / 2 && !stock.isRefilling
            if refills { stock.isRefilling = true }
            return (id, refills)
        }
        if refills { queue.async { self.refill() } }
        if let id { return PartID(id) }
        // The disk was slower than the belt: wait for it, once for many, rather than repeat an id.
        let reserved = try journal.reservePartIDs(Self.blockSize)
        stock.withLock { $0.ids.add(reserved.dropFirst()) }
        return PartID(reserved.lowerBound)
    }

    private func refill() {
        do {
            let reserved = try journal.reservePartIDs(Self.blockSize)
            stock.withLock { stock in
                stock.ids.add(reserved)
                stock.isRefilling = false
            }
        } catch {
            logger.error("part ids cannot be reserved", metadata: ["reason": "\(error)"])
            // The next part tries again.
            stock.withLock { $0.isRefilling = false }
        }
    }
}
