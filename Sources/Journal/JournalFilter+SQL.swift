import GRDB

extension JournalFilter {
    /// The condition of a query on `message`, and its arguments; `TRUE` for no criterion.
    var condition: (sql: String, arguments: StatementArguments) {
        var terms: [String] = []
        var arguments = StatementArguments()
        func require(_ term: String, _ values: [any DatabaseValueConvertible]) {
            terms.append(term)
            arguments += StatementArguments(values)
        }
        func requireOne(of values: [String], in column: String) {
            guard !values.isEmpty else { return }
            require("\(column) IN (\(values.map { _ in "?" }.joined(separator: ", ")))", values.sorted())
        }
        requireOne(of: kinds.map(\.rawValue), in: "kind")
        requireOne(of: dispositions.map(\.rawValue), in: "disposition")
        requireOne(of: Array(reasons), in: "reason")
        if let session { require("session = ?", [Int64(clamping: session.value)]) }
        if let partID { require("part_id = ?", [Int64(clamping: partID.value)]) }
        if let since { require("sent_us >= ?", [since.microsecondsSince1970]) }
        if let until { require("sent_us < ?", [until.microsecondsSince1970]) }
        return (terms.isEmpty ? "TRUE" : terms.joined(separator: " AND "), arguments)
    }
}
