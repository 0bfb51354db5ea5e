/// Which trials the experiment report consists of.
///
/// EfficientAD and PUAD train the same networks and differ in what they decide by, so one trial has both rows. The
/// extractor of the trays is trained once; the teacher of the M models computes what that of the S models does, so they
/// share it.
struct ReportPlan {
    let trays: String
    let bottle: String?

    /// Of the S models on trays, of the M models, and of the S models on bottle.
    let iterations: Int
    let mediumIterations: Int
    let bottleIterations: Int

    /// A line of a table: a trial, and the score that its method decides by.
    struct Row: Hashable {
        var title: String
        var trial: Trial
        var score = Score.fused
    }

    /// The methods as they are, one row each: trays S, trays M, bottle S.
    var traysSmall: [Row] { rows("trays-s") { smallTrays($0, method: $1) } }

    var traysMedium: [Row] {
        rows("trays-m") { name, method in
            var trial = Trial(
                name: name, dataset: trays, method: method, size: "m", iterations: mediumIterations)
            if method == "la-ead" { trial.extractorFrom = "trays-s/la-ead" }
            return trial
        }
    }

    var bottleSmall: [Row] {
        guard let bottle else { return [] }
        return rows("bottle-s") {
            Trial(name: $0, dataset: bottle, method: $1, size: "s", iterations: bottleIterations)
        }
    }

    /// LA-EAD: with and without the reconstruction difference constraint, on features of the student and of the extractor.
    var constraintAndExtractor: [Row] {
        let unconstrained = smallTrays("trays-s/la-ead-alpha-0", method: "la-ead", options: ["--alpha", "0"])
        var onStudent = smallTrays(
            "trays-s/la-ead-student", method: "la-ead", options: ["--feature-source", "student"])
        onStudent.networksFrom = "trays-s/la-ead"
        return [
            Row(title: "neither (PUAD)", trial: traysSmall[1].trial),
            Row(title: "RDC", trial: onStudent),
            Row(title: "extractor", trial: unconstrained.takingExtractor(from: "trays-s/la-ead")),
            Row(title: "RDC and extractor (LA-EAD)", trial: traysSmall[3].trial),
        ]
    }

    /// PUAD: what the features are pooled from.
    var featureSources: [Row] {
        var teacher = smallTrays("trays-s/puad-teacher", method: "puad", options: ["--feature-source", "teacher"])
        teacher.networksFrom = "trays-s/puad"
        return [
            Row(title: "student", trial: traysSmall[1].trial, score: .unpicturable),
            Row(title: "teacher", trial: teacher, score: .unpicturable),
            Row(title: "extractor (LA-EAD)", trial: traysSmall[3].trial, score: .unpicturable),
        ]
    }

    /// DFSC: how far autoencoder and teacher are kept apart.
    var margins: [Row] {
        ["0", "0.4", "1"].map { margin in
            guard margin != "1" else { return Row(title: "1 (default)", trial: traysSmall[2].trial) }
            return Row(
                title: margin,
                trial: smallTrays("trays-s/dfsc-margin-\(margin)", method: "dfsc", options: ["--margin", margin]))
        }
    }

    /// DFSC: sigmoid and moving average, both read from one checkpoint.
    var sigmoidAndAverage: [Row] {
        let variants: [(title: String, options: [String])] = [
            ("neither", ["--no-sigmoid", "--no-ema"]), ("sigmoid", ["--no-ema"]), ("average", ["--no-sigmoid"]),
        ]
        return variants.map { title, options in
            var trial = smallTrays("trays-s/dfsc-\(title)", method: "dfsc", options: options)
            trial.networksFrom = "trays-s/dfsc"
            return Row(title: title, trial: trial)
        } + [Row(title: "sigmoid and average (DFSC)", trial: traysSmall[2].trial)]
    }

    /// Each trial once, what others need before them.
    var trials: [Trial] {
        var seen: Set<Trial> = []
        return
            (traysSmall + constraintAndExtractor + margins + featureSources + sigmoidAndAverage + traysMedium
            + bottleSmall).map(\.trial).filter { seen.insert($0).inserted }
    }

    private func smallTrays(_ name: String, method: String, options: [String] = []) -> Trial {
        Trial(name: name, dataset: trays, method: method, size: "s", iterations: iterations, options: options)
    }

    private func rows(_ folder: String, _ trial: (_ name: String, _ method: String) -> Trial) -> [Row] {
        let shared = trial("\(folder)/puad", "puad")
        return [
            Row(title: "EfficientAD", trial: shared, score: .picturable), Row(title: "PUAD", trial: shared),
            Row(title: "DFSC", trial: trial("\(folder)/dfsc", "dfsc")),
            Row(title: "LA-EAD", trial: trial("\(folder)/la-ead", "la-ead")),
        ]
    }
}

extension Trial {
    fileprivate func takingExtractor(from other: String) -> Trial {
        var trial = self
        trial.extractorFrom = other
        return trial
    }
}
