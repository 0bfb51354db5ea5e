/// A table whose source can be read as well.
struct MarkdownTable: CustomStringConvertible {
    private var rows: [[String]]

    init(_ header: [String]) { rows = [header] }

    /// - Precondition: As many cells as the header has.
    mutating func append(_ row: [String]) {
        precondition(row.count == rows[0].count, "a row of \(row.count) cells under \(rows[0].count) titles")
        rows.append(row)
    }

    var description: String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        func line(_ cells: [String]) -> String {
            let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return "| " + padded.joined(separator: " | ") + " |"
        }
        let rule = "|" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "|") + "|"
        return ([line(rows[0]), rule] + rows.dropFirst().map(line)).joined(separator: "\n")
    }
}
