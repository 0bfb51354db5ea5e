import AnomalyScoring
import ConvNets
import Crypto
import Glibc
import TensorKernels

/// What the files of another project hold of a model: networks, and what was measured with them.
public struct ImportedCheckpoint: Sendable {
    /// A file that was read.
    public struct Origin: Hashable, Sendable, Codable {
        public let path: String

        /// Of the whole file, hexadecimal.
        public let sha256: String
    }

    /// Whose names the first network has that was found.
    public private(set) var format: CheckpointFormat
    public private(set) var origins: [Origin] = []

    /// PDN-S or PDN-M, told by the layers of teacher and student; nil where neither was found.
    public private(set) var size: NetworkSize?

    public var teacher: ParameterSet? { networks[.teacher]?.value }
    public var student: ParameterSet? { networks[.student]?.value }
    public var autoencoder: ParameterSet? { networks[.autoencoder]?.value }

    /// μ_c and σ_c that student and autoencoder were trained with; nil where the files do not have them.
    public private(set) var statistics: ChannelStatistics?

    /// As the other project measured them, over maps at its own resolution (ALGORITHMS §4.1); nil where there are none.
    public var mapQuantiles: MapQuantiles? { quantiles?.value }

    /// What an export has beside the networks.
    private(set) var remainder: SafetensorsTensorFile?

    struct Found<Value: Sendable>: Sendable {
        let value: Value
        let path: String
    }

    private var networks: [NetworkRole: Found<ParameterSet>] = [:]
    private var sizes: [NetworkRole: NetworkSize] = [:]
    private var means: [Found<[Float]>] = []
    private var deviations: [Found<[Float]>] = []
    private var quantiles: Found<MapQuantiles>?

    /// The network of a role, if it was found.
    public subscript(role: NetworkRole) -> ParameterSet? { networks[role]?.value }

    /// Reads checkpoints of one model.
    ///
    /// - Parameters:
    ///   - paths: Files, or folders of which every `.pth`, `.pt`, `.ckpt` and `.safetensors` file is taken but the
    ///     `…_tmp.pth` that nelson1425's training leaves. At least one.
    ///   - wanted: Refuses other names; nil takes what is found.
    /// - Throws: The first thing that does not fit, with file, tensor and shapes.
    public init(reading paths: [String], format wanted: CheckpointFormat? = nil) throws(CheckpointImportError) {
        precondition(!paths.isEmpty, "no checkpoint is named")
        format = wanted ?? .safetensors
        for path in try Self.files(at: paths) {
            // By its name: the error for a damaged file can then be about the container that it was meant to have.
            let file: any TensorFile =
                try path.hasSuffix(".safetensors") ? SafetensorsTensorFile(path) : PyTorchTensorFile(path)
            try take(file, wanted: wanted)
            origins.append(Origin(path: path, sha256: try Self.digest(of: path)))
        }
        if let teacher = sizes[.teacher], let student = sizes[.student], teacher != student {
            throw .differentSizes(teacher: teacher, student: student)
        }
        size = sizes[.teacher] ?? sizes[.student]
        switch (try theOne(of: means, "the channels' mean"), try theOne(of: deviations, "the channels' deviation")) {
        case (let mean?, let deviation?):
            // anomalib's are zero until its training has begun.
            if deviation.contains(where: { $0 != 0 }) {
                statistics = ChannelStatistics(mean: mean, deviation: deviation)
            }
        case (nil, nil): break
        case (_?, nil): throw .halfOfTheStatistics(found: "mean")
        case (nil, _?): throw .halfOfTheStatistics(found: "standard deviation")
        }
    }

    /// The measurement that is meant, where several files may have it.
    private func theOne(of found: [Found<[Float]>], _ part: String) throws(CheckpointImportError) -> [Float]? {
        var found = found
        // PUAD puts μ and σ beside each network that it trains; a teacher's are those of another network's output.
        if format == .puad, let student = networks[.student] {
            let folder = AtomicFile.split(student.path).directory
            found.removeAll { AtomicFile.split($0.path).directory != folder }
        }
        guard found.count < 2 else { throw .foundTwice(part: part, first: found[0].path, second: found[1].path) }
        return found.first?.value
    }

    // MARK: - One file

    private mutating func take(_ file: any TensorFile, wanted: CheckpointFormat?) throws(CheckpointImportError) {
        let names = Self.plainNames(of: file)
        guard let found = Self.format(of: names.keys) else {
            throw .unknownLayout(path: file.path, names: Array(names.keys.sorted().prefix(4)))
        }
        // Named layers are written alike by anomalib's teachers, by PUAD and by us.
        let isWanted = wanted == nil || wanted == found || found == .puad && wanted != .nelson1425
        guard isWanted || file.metadata[ModelFile.manifestKey] != nil else {
            throw .otherFormat(path: file.path, found: found, wanted: wanted ?? found)
        }

        var isOfUse = false
        for role in NetworkRole.allCases where !found.prefix(of: role).isEmpty {
            let prefix = found.prefix(of: role)
            let own = names.filter { $0.key.hasPrefix(prefix) }
            guard !own.isEmpty else { continue }
            let short = Dictionary(
                uniqueKeysWithValues: own.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
            try takeNetwork(named: short, of: [role], format: found, from: file)
            isOfUse = true
        }
        for format in CheckpointFormat.allCases {
            isOfUse = try takeMeasurements(named: names, format: format, from: file) || isOfUse
        }
        if let safetensors = file as? SafetensorsTensorFile, file.metadata[ModelFile.manifestKey] != nil {
            if let remainder { throw .foundTwice(part: "measurements", first: remainder.path, second: file.path) }
            remainder = safetensors
            isOfUse = true
        }
        if !isOfUse { try takeNetwork(named: names, of: NetworkRole.allCases, format: found, from: file) }
    }

    /// Names as the projects' classes have them, each with the name in the file: without the `model.` that Lightning puts
    /// before, and a tensor without a name by that of its file.
    private static func plainNames(of file: any TensorFile) -> [String: String] {
        let names = file.shapes.keys
        if names.count == 1, names.first == "" {
            let name = AtomicFile.split(file.path).name
            return [String(name.prefix { $0 != "." }): ""]
        }
        let wrapper = "model."
        guard names.contains(where: { $0.hasPrefix(wrapper) }) else {
            return Dictionary(uniqueKeysWithValues: names.map { ($0, $0) })
        }
        return Dictionary(
            uniqueKeysWithValues: names.filter { $0.hasPrefix(wrapper) }.map {
                (String($0.dropFirst(wrapper.count)), $0)
            })
    }

    private static func format(of names: some Collection<String>) -> CheckpointFormat? {
        func has(_ beginnings: String...) -> Bool {
            names.contains { name in beginnings.contains { name.hasPrefix($0) } }
        }
        if has("ae.", "mean_std.") { return .anomalib }
        if has("teacher.", "student.", "autoencoder.", "channels.", "gaussian.") { return .safetensors }
        if has("conv", "encoder.", "decoder.") { return .puad }
        if names.contains(where: { $0.first?.isNumber == true }) { return .nelson1425 }
        return CheckpointFormat.allCases.first { format in
            let (mean, deviation) = format.statisticsNames
            return ([mean, deviation] + (format.quantileNames ?? [])).contains { names.contains($0) }
        }
    }

    // MARK: - Networks

    /// - Parameters:
    ///   - names: The parameters' names without prefix, each with the name in the file.
    ///   - roles: What the network can be; with several, a patch description network is told by its output's width.
    private mutating func takeNetwork(
        named names: [String: String], of roles: [NetworkRole], format: CheckpointFormat, from file: any TensorFile
    ) throws(CheckpointImportError) {
        let given = Set(names.keys)
        guard let map = NetworkKeyMap.matching(given, of: roles, in: format) else {
            throw Self.mismatch(names, of: roles, format: format, path: file.path)
        }
        func shape(_ foreign: String) -> [Int] { names[foreign].flatMap { file.shapes[$0] } ?? [] }
        let outputChannels = map.keys.last.map { shape($0.foreign) }?.first
        let role: NetworkRole =
            roles.count == 1
            ? roles[0]
            : map.size == nil
                ? .autoencoder : outputChannels == 2 * NetworkArchitecture.featureCount ? .student : .teacher
        let architecture: NetworkArchitecture =
            switch (role, map.size) {
            case (.teacher, let size?): .teacher(size)
            case (.student, let size?): .student(size)
            default: .autoencoder
            }
        if let first = networks[role] {
            throw .foundTwice(part: "the \(role.rawValue)", first: first.path, second: file.path)
        }
        var parameters = ParameterSet()
        for (key, wanted) in zip(map.keys, architecture.parameters) {
            let name = names[key.foreign] ?? key.foreign
            guard shape(key.foreign) == wanted.shape else {
                throw .shape(path: file.path, tensor: name, found: shape(key.foreign), expected: wanted.shape)
            }
            let values = try Self.finiteValues(of: name, in: file)
            parameters.append(wanted.name, Tensor(shape: wanted.shape, values: values))
        }
        if networks.isEmpty { self.format = format }
        networks[role] = Found(value: parameters, path: file.path)
        sizes[role] = map.size
    }

    private static func mismatch(
        _ names: [String: String], of roles: [NetworkRole], format: CheckpointFormat, path: String
    ) -> CheckpointImportError {
        guard let map = NetworkKeyMap.nearest(Set(names.keys), of: roles, in: format) else {
            return .unknownLayout(path: path, names: Array(names.keys.sorted().prefix(4)))
        }
        let wanted = map.keys.map(\.foreign)
        if let missing = wanted.first(where: { names[$0] == nil }) { return .missingTensor(path: path, missing) }
        let stranger = names.keys.sorted().first { !wanted.contains($0) }
        return .unexpectedTensor(path: path, stranger.flatMap { names[$0] } ?? "")
    }

    private static func finiteValues(
        of name: String, in file: any TensorFile
    ) throws(CheckpointImportError) -> [Float] {
        guard let values = try file.values(of: name) else { throw .elementType(path: file.path, tensor: name) }
        guard values.allSatisfy(\.isFinite) else { throw .finiteness(path: file.path, tensor: name) }
        return values
    }

    // MARK: - Measurements

    /// - Returns: Whether the file has any.
    private mutating func takeMeasurements(
        named names: [String: String], format: CheckpointFormat, from file: any TensorFile
    ) throws(CheckpointImportError) -> Bool {
        let statistics = format.statisticsNames
        var isOfUse = false
        if let name = names[statistics.mean] {
            try Self.checkChannels(name, in: file)
            means.append(Found(value: try Self.finiteValues(of: name, in: file), path: file.path))
            isOfUse = true
        }
        if let name = names[statistics.deviation] {
            try Self.checkChannels(name, in: file)
            guard let values = try file.values(of: name) else { throw .elementType(path: file.path, tensor: name) }
            guard !values.contains(where: \.isNaN) else { throw .finiteness(path: file.path, tensor: name) }
            guard values.allSatisfy({ $0 >= 0 }) else { throw .negativeDeviation(path: file.path, tensor: name) }
            // Our exports say ∞ where a channel is dead, so that dividing by it gives the 0 that is meant.
            deviations.append(Found(value: values.map { $0.isInfinite ? 0 : $0 }, path: file.path))
            isOfUse = true
        }
        if let quantileNames = format.quantileNames, quantileNames.allSatisfy({ names[$0] != nil }) {
            var values: [Double] = []
            for name in quantileNames.compactMap({ names[$0] }) {
                let shape = file.shapes[name] ?? []
                guard shape.allSatisfy({ $0 == 1 }) else {
                    throw .shape(path: file.path, tensor: name, found: shape, expected: [])
                }
                values += try Self.finiteValues(of: name, in: file).map(Double.init)
            }
            // anomalib's are zero until its first validation.
            if values.contains(where: { $0 != 0 }) {
                if let quantiles {
                    throw .foundTwice(part: "the maps' quantiles", first: quantiles.path, second: file.path)
                }
                let found = MapQuantiles(
                    studentTeacher: .init(lower: values[0], upper: values[1]),
                    autoencoderStudent: .init(lower: values[2], upper: values[3]))
                quantiles = Found(value: found, path: file.path)
            }
            isOfUse = true
        }
        return isOfUse
    }

    /// One value per channel, `[384]` or `[1, 384, 1, 1]`.
    private static func checkChannels(_ name: String, in file: any TensorFile) throws(CheckpointImportError) {
        let features = NetworkArchitecture.featureCount
        let shape = file.shapes[name] ?? []
        guard shape == [features] || shape == [1, features, 1, 1] else {
            throw .shape(path: file.path, tensor: name, found: shape, expected: [features])
        }
    }

    // MARK: - Files

    private static func files(at paths: [String]) throws(CheckpointImportError) -> [String] {
        var files: [String] = []
        for path in paths {
            guard Directory.kind(of: path) == .directory else {
                files.append(path)
                continue
            }
            let names: [String]
            do { names = try Directory.names(in: path) } catch { throw .file(error) }
            let checkpoints = names.filter { name in
                [".pth", ".pt", ".ckpt", ".safetensors"].contains { name.hasSuffix($0) }
                    && !name.hasSuffix("_tmp.pth") && !name.hasPrefix(".")
            }
            guard !checkpoints.isEmpty else { throw .noCheckpoints(folder: path, found: Array(names.prefix(4))) }
            files += checkpoints.map { "\(path)/\($0)" }
        }
        return files
    }

    private static func digest(of path: String) throws(CheckpointImportError) -> String {
        do throws(FileError) {
            let file = try OpenFile(path, O_RDONLY)
            let byteCount = try file.regularFileSize()
            let part = 1 << 20
            var digest = SHA256()
            for offset in stride(from: 0, to: byteCount, by: part) {
                digest.update(data: try file.read(min(part, byteCount - offset), at: offset))
            }
            return digest.finalize().hexadecimal
        } catch {
            throw .file(error)
        }
    }
}

extension ImportedCheckpoint {
    /// Where the networks come from, for the model card.
    public var provenance: String {
        let files = origins.map { "\(AtomicFile.split($0.path).name) sha256: \($0.sha256)" }
        return "imported (\(format.rawValue)): " + files.joined(separator: "; ")
    }
}
