-- CreateTable
CREATE TABLE "entities" (
    "code" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    CONSTRAINT "entities_pkey" PRIMARY KEY ("code")
);

-- CreateTable
CREATE TABLE "components" (
    "code" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    CONSTRAINT "components_pkey" PRIMARY KEY ("code")
);
