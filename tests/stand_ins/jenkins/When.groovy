// "Pipeline Syntax", "when": all conditions together, each evaluated once, as early as it says
class When {
    private final Build build
    private final Calls calls
    private final Declarative model
    private Boolean passed

    When(Build build, Calls calls, Declarative model) {
        this.build = build
        this.calls = calls
        this.model = model
    }

    // null: where nothing says earlier
    boolean passes(String moment) {
        boolean now = moment == null || calls?.found?.any { name, given -> name == moment && given[0] }
        if (now && passed == null) { passed = calls == null || calls.found.collect { one(*it) }.every() || build.dry }
        passed == null || passed
    }

    private boolean one(String name, List given) {
        switch (name) {
            case Declarative.BEFORE: return true
            case 'branch': return plain(given[0]) == build.variable('BRANCH_NAME')
            case 'changeRequest': return build.variable('CHANGE_ID') != null
            case 'expression': return given[0].rehydrate(build.steps, build.steps, build.steps).call()
            case 'allOf': return inner(given[0]).every { one(*it) }
            case 'anyOf': return inner(given[0]).any { one(*it) }
            default: return !inner(given[0]).every { one(*it) }
        }
    }

    private List inner(Closure body) { model.read(body, 'when', Declarative.CONDITIONS).found }

    private static String plain(String branch) {
        if (branch =~ /[*?]/) { throw new Refused("branch: the pattern $branch is beyond this model") }
        branch
    }
}
