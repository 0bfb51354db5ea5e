// What a file says is shown in messages to people; these keep it from being long, or from being commands to a terminal.

extension String {
    /// At most 80 characters, with what cannot be seen written as `\u{…}`.
    var legible: String {
        let limit = 80
        var text = ""
        var count = 0
        // By scalars: a character may have any number of accents.
        for scalar in unicodeScalars {
            guard count < limit else { return text + "…" }
            count += 1
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
                text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}

extension [Int] {
    /// A shape with at most eight sides.
    var legible: String {
        let limit = 8
        guard count > limit else { return "\(self)" }
        return "[\(prefix(limit).map(String.init).joined(separator: ", ")), …]"
    }
}
